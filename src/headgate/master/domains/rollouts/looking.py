"""Takes a look at the fleet into the standings of its agents. Pure."""

from typing import Final

from headgate.master.domains.rollouts.events import AgentView, Look
from headgate.master.domains.rollouts.state import Node, Rollout
from headgate.master.domains.rollouts.turn import Turn, named

_MAX_RELAPSES: Final = 2


def is_late(state: Rollout, look: Look, now: float) -> bool:
    """Reports whether a look is too old, or older than one that was taken in.

    One taken in that lies in the future only shows that the clock was set back.
    """
    if abs(now - look.at) > state.spec.pace.stale_s:
        return True
    return state.looked_at is not None and look.at < state.looked_at <= now


def merge(turn: Turn, look: Look) -> None:
    """Brings every agent's standing up to date; agents that the look lacks left the fleet."""
    seen = {view.agent for view in look.agents}
    _drop(turn, [agent for agent in turn.nodes if agent not in seen])
    for view in look.agents:
        node = turn.nodes.get(view.agent)
        fields = _observed(turn, view)
        if node is not None:
            fields |= _moved(turn, node, view, bool(fields["is_online"]))
        if node is None or any(getattr(node, name) != value for name, value in fields.items()):
            turn.set_node(view.agent, **fields)
    if look.frozen != turn.state.frozen:
        turn.note("freeze", f"frozen: {look.frozen}" if look.frozen else "the freeze is over")
    if look.unable != turn.state.unable:
        _tell_unable(turn, look.unable)
    turn.set(looked_at=look.at, looked_clock=turn.state.clock_s, frozen=look.frozen)


def _drop(turn: Turn, left: list[str]) -> None:
    """Goes on without agents that were removed, revoked, or moved to another fleet. A wave that
    has none of its agents any more begins again, with others."""
    if not left:
        return
    reached = sorted(agent for agent in left if turn.nodes[agent].is_reached)
    for agent in left:
        del turn.nodes[agent]
    if reached and not turn.state.has_ended:
        turn.note("left", f"the rollout goes on without agents that left: {named(reached)}")
    wave = turn.state.open_wave
    if wave is None or not {*wave.members}.intersection(left):
        return
    members = tuple(agent for agent in wave.members if agent in turn.nodes)
    pending = tuple(agent for agent in wave.pending if agent in turn.nodes)
    turn.set_wave(members=members, pending=pending)
    if not members:
        turn.set_wave(began_at=None, soak_clock=None, verdict=None)


def _tell_unable(turn: Turn, unable: tuple[str, ...]) -> None:
    text = f"left out, since they cannot upgrade: {', '.join(unable)}"
    turn.note("unable", text if unable else "every agent can upgrade now")
    turn.set(unable=unable)


def _observed(turn: Turn, view: AgentView) -> dict[str, object]:
    is_fresh = abs(turn.now - view.seen_at) <= turn.state.spec.pace.stale_s
    return {
        "desired": view.desired,
        "serving": view.serving,
        "is_online": view.is_connected and is_fresh,
        "labels": dict(view.labels),
        "zone": view.zone,
        "program": view.program,
    }


def _moved(turn: Turn, node: Node, view: AgentView, is_online: bool) -> dict[str, object]:
    spec = turn.state.spec
    is_back = turn.state.phase in {"undoing", "undone", "aborted"}
    if node.standing in {"offered", "serving", "failed"} and not is_back:
        return _forward(turn, node, view, is_online)
    if node.standing != "undoing":
        return {}
    # An offer of the revision may still be on its way to it, or be under way there.
    if view.serving == spec.base and view.acknowledged in {None, spec.base}:
        return {"standing": "restored", "error": ""}
    if view.refused == spec.base and view.refused_at >= node.offered_at:
        return {"standing": "failed", "error": view.error or "it refused the revision"}
    return {}


def _forward(turn: Turn, node: Node, view: AgentView, is_online: bool) -> dict[str, object]:
    spec = turn.state.spec
    if view.failing_since is not None and view.failing_since >= node.offered_at:
        # One that failed before shows nothing about what it was offered.
        return {"standing": "failed", "error": "its control process fails at each start"}
    if view.serving == spec.revision and view.quarantined and spec.gates.quarantine == "refuse":
        return {"standing": "failed", "error": view.quarantined}
    if view.serving == spec.revision:
        served: dict[str, object] = {"standing": "serving", "error": "", "waited_s": 0.0}
        if node.served_at < node.offered_at:
            # Its last word is the proof, or came soon after; clocks may have been set back.
            served["served_at"] = max(view.seen_at, node.offered_at)
        return served
    if node.standing == "failed":
        return {}
    relapses = node.relapses + (node.standing == "serving")
    waited_s = node.waited_s
    if (is_online and node.is_online) or _is_missed(turn):
        waited_s += turn.state.clock_s - turn.state.looked_clock
    error, what = "", spec.new if spec.is_of_program else "the revision"
    if view.refused == spec.revision and view.refused_at >= node.offered_at:
        error = view.error or "it refused the revision"
    elif relapses > _MAX_RELAPSES:
        error = f"it served {what} and went back {relapses} times"
    elif waited_s > spec.pace.apply_s:
        back = "" if is_online or not spec.is_of_program else ", and has not come back"
        error = f"it did not serve {what} within {spec.pace.apply_s:.0f} s{back}"
    standing = "failed" if error else "offered"
    return {"standing": standing, "error": error, "waited_s": waited_s, "relapses": relapses}


def _is_missed(turn: Turn) -> bool:
    """Reports whether an agent that is away may fail by that: one that upgrades has to come back,
    while all are away for a time where no driver looked."""
    state = turn.state
    return (
        state.spec.is_of_program
        and state.phase == "rolling"
        and state.looked_clock >= state.settled_clock
    )
