"""Takes a rollout back: every agent to the revision that the fleet had. Pure."""

from headgate.master.domains.rollouts.events import Settle
from headgate.master.domains.rollouts.turn import Turn, named


def begin(turn: Turn, why: str) -> None:
    """Stops the rollout and undoes it, if there is something to undo and to go back to."""
    spec = turn.state.spec
    turn.set(reason=why, is_paused=False)
    is_untouched = not any(node.is_reached for node in turn.nodes.values())
    if is_untouched and turn.state.phase != "succeeded":
        turn.enter("aborted", f"{why}; no agent was reached")
        return
    if spec.base is None:
        turn.enter("failed", why)
        turn.alarm(
            f"rollout {spec.rollout} failed and there is no earlier revision to go back to; "
            f"publish a corrected one. {why}"
        )
        return
    turn.set(ended_at=None, undo_clock=turn.state.clock_s, is_undo_alarmed=False)
    turn.enter("undoing", f"{why}; every agent goes back to {spec.old}")
    back = [
        agent
        for agent, node in turn.nodes.items()
        if node.standing != "unreached" or node.desired not in {None, spec.base}
    ]
    for agent in back:
        turn.set_node(agent, standing="undoing", offered_at=turn.now)
    turn.commands.append(Settle(spec.base))
    turn.serve(spec.base, back)


def watch(turn: Turn) -> None:
    """Repeats what has not arrived; ends when every connected agent has gone back or refused."""
    spec, state = turn.state.spec, turn.state
    if spec.base is None:
        return
    # Agents that joined since the rollout ended got what it brought.
    for agent in [a for a, n in turn.nodes.items() if n.standing == "unreached"]:
        if turn.nodes[agent].desired not in {None, spec.base}:
            turn.set_node(agent, standing="undoing", offered_at=turn.now)
    turn.serve(
        spec.base,
        [a for a, n in turn.nodes.items() if n.standing == "undoing" and n.desired != spec.base],
    )
    if state.clock_s < state.settled_clock:
        return
    missing = sorted(a for a, n in turn.nodes.items() if n.standing == "undoing")
    # One that goes back to a program is away for that; it has as long as it had to come.
    is_early = spec.is_of_program and state.clock_s - state.undo_clock <= spec.pace.apply_s
    open_ones = [agent for agent in missing if is_early or turn.nodes[agent].is_online]
    if open_ones:
        _alarm_if_late(turn, open_ones)
        return
    refused = sorted(a for a, n in turn.nodes.items() if n.standing == "failed")
    if refused:
        turn.alarm(f"{named(refused)} refused {spec.old} in the undo")
    away = f"; {named(missing)} will when connected again" if missing else ""
    turn.enter("undone", f"the connected agents serve {spec.old} again{away}")


def _alarm_if_late(turn: Turn, agents: list[str]) -> None:
    state = turn.state
    if state.is_undo_alarmed or state.clock_s - state.undo_clock <= state.spec.pace.apply_s:
        return
    turn.set(is_undo_alarmed=True)
    turn.alarm(f"{named(agents)} did not go back to {state.spec.old} in time")
