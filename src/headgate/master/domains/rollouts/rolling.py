"""Takes a rollout from wave to wave. Pure."""

from headgate.master.domains.rollouts import undoing, waves
from headgate.master.domains.rollouts.events import Measure, Measured, Settle
from headgate.master.domains.rollouts.gates import Verdict, judge
from headgate.master.domains.rollouts.spec import waves_of
from headgate.master.domains.rollouts.state import WaveRecord
from headgate.master.domains.rollouts.turn import Turn, named


def go(turn: Turn) -> None:
    """Does what the fleet, as it was just looked at, allows."""
    if _fails(turn):
        return
    state, spec = turn.state, turn.state.spec
    turn.serve(
        spec.revision,
        [a for a, n in turn.nodes.items() if n.is_reached and n.desired != spec.revision],
    )
    if state.clock_s < state.settled_clock:
        if _has_begun(turn) or _misses_agents(turn):
            return
        turn.set(settled_clock=state.clock_s)
    wave = state.open_wave or _open(turn)
    if wave is None:
        return
    _offer(turn)
    if _is_applied(turn):
        _soak(turn)


def measured(turn: Turn, event: Measured) -> None:
    """Judges the wave under way; an answer that is late or about another wave changes nothing."""
    state, pace = turn.state, turn.state.spec.pace
    wave = state.open_wave
    if wave is None or wave.soak_clock is None or event.wave != state.wave:
        return
    if state.clock_s < state.settled_clock or event.clock_s < wave.soak_clock:
        return
    if abs(turn.now - event.at) > pace.stale_s or state.clock_s - event.clock_s > pace.stale_s:
        return
    is_over = event.clock_s - wave.soak_clock >= pace.soak_s
    age_s = abs(event.at - event.sample.oldest_at)
    verdict, lost = _verdict(turn, event), _lost(turn)
    if verdict is not None and verdict.outcome == "fail":
        undoing.begin(turn, f"wave {state.wave + 1} ({wave.name}) failed: {verdict.reason}")
    elif verdict is None or event.silent or lost or age_s > pace.stale_s:
        if is_over:
            turn.hold(_unheard(event, lost))
    elif is_over and verdict.outcome == "inconclusive":
        turn.hold(verdict.reason)
    elif not state.is_paused and _is_covered(turn, event, age_s):
        turn.go_on()
        close(turn, "its gates passed")


def _verdict(turn: Turn, event: Measured) -> Verdict | None:
    """Returns the verdict by the data that there are, of a part of the wave perhaps: that shows
    harm, but lets nothing pass. None without data."""
    if not event.sample.agents:
        return None
    verdict = judge(event.sample, event.control, turn.state.spec.gates, turn.now)
    turn.set_wave(verdict=verdict)
    return verdict


def _lost(turn: Turn) -> list[str]:
    """Returns the agents of the wave that went away after their offer, which may be why; none if
    so many may refuse, with those of the rollout that did."""
    state = turn.state
    members = state.waves[state.wave].members
    lost = sorted(
        one
        for one in members
        if turn.nodes[one].standing != "failed" and not turn.nodes[one].is_online
    )
    return lost if len(_failed(turn)) + len(lost) > state.spec.gates.failed_applies else []


def _unheard(event: Measured, lost: list[str]) -> str:
    gone = f"{named(lost)} went away after the offer"
    if lost and not event.silent:
        return gone
    whom = named(event.silent) or "the agents of the wave"
    far = f"; connected to another master: {named(event.elsewhere)}" if event.elsewhere else ""
    return f"there is no fresh data from {whom}{far}" + (f"; {gone}" if lost else "")


def _is_covered(turn: Turn, event: Measured, age_s: float) -> bool:
    """Reports whether the agents of the wave serve, and sent data after the whole of the soak:
    fresh data may still end before the failures of the last seconds, or of a short soak, began."""
    wave = turn.state.open_wave
    if wave is None or wave.soak_clock is None:
        return False
    measured_s = event.clock_s - age_s - wave.soak_clock
    return measured_s >= turn.state.spec.pace.soak_s and _is_applied(turn) and _has_proof(turn)


def close(turn: Turn, how: str) -> None:
    """Ends the current wave as passed; the next look opens the next one, if there is one."""
    state = turn.state
    turn.set_wave(passed_at=turn.now, how=how)
    turn.note("wave", f"wave {state.wave + 1} ({state.waves[state.wave].name}) passed: {how}")
    turn.set(wave=state.wave + 1, hold=None)
    if turn.state.wave == len(state.waves):
        _succeed(turn)


def _has_begun(turn: Turn) -> bool:
    return turn.state.wave > 0 or turn.state.open_wave is not None


def _misses_agents(turn: Turn) -> bool:
    """Reports whether a first wave could lack agents that connect again to a new driver."""
    return turn.state.spec.is_gated and not all(node.is_online for node in turn.nodes.values())


def has_offers_left(turn: Turn) -> bool:
    """Reports whether agents of the wave wait for their offer or have not answered it."""
    wave = turn.state.open_wave
    return wave is not None and (bool(wave.pending) or bool(_in_flight(turn)))


def _fails(turn: Turn) -> bool:
    spec = turn.state.spec
    failed = _failed(turn)
    if spec.is_urgent or len(failed) <= spec.gates.failed_applies:
        return False
    first = failed[0]
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    undoing.begin(
        turn,
        f"{first}{more} did not apply {spec.new}: {turn.nodes[first].error}",
    )
    return True


def _failed(turn: Turn) -> list[str]:
    return sorted(a for a, n in turn.nodes.items() if n.is_reached and n.standing == "failed")


def _open(turn: Turn) -> WaveRecord | None:
    state, spec = turn.state, turn.state.spec
    if state.is_paused or (state.frozen and spec.is_gated):
        return None
    if spec.is_of_program and not turn.nodes:
        turn.hold("no agent of the fleet can upgrade")
        return None
    if turn.nodes and not any(node.is_online for node in turn.nodes.values()):
        turn.hold("no agent of the fleet is connected")
        return None
    for index in range(state.wave, len(state.waves)):
        turn.set(wave=index)
        chosen = waves.members(waves_of(spec)[index], turn.nodes, spec.rollout)
        if chosen:
            turn.go_on()
            turn.set_wave(members=chosen, pending=chosen, began_at=turn.now)
            name = state.waves[index].name
            turn.note("wave", f"wave {index + 1} ({name}) begins with {len(chosen)} agents")
            return turn.state.open_wave
        close(turn, "no connected agent is left for it")
    return None


def _offer(turn: Turn) -> None:
    state, spec = turn.state, turn.state.spec
    wave = state.open_wave
    if wave is None or not wave.pending or state.is_paused or (state.frozen and spec.is_gated):
        return
    here = [agent for agent in wave.pending if agent in turn.nodes and turn.nodes[agent].is_online]
    gone = set(wave.pending) - set(here)
    room = len(here)
    if spec.pace.max_unavailable:
        room = max(spec.pace.max_unavailable - len(_in_flight(turn)), 0)
    for agent in here[:room]:
        turn.set_node(
            agent,
            standing="offered",
            wave=state.wave,
            offered_at=turn.now,
            waited_s=0.0,
        )
    turn.set_wave(
        members=tuple(one for one in wave.members if one not in gone), pending=tuple(here[room:])
    )
    turn.serve(spec.revision, here[:room])


def _in_flight(turn: Turn) -> list[str]:
    # One that upgrades goes away for it: its wave waits until it is back, or failed.
    counts_away = turn.state.spec.is_of_program
    return [
        a for a, n in turn.nodes.items() if n.standing == "offered" and (n.is_online or counts_away)
    ]


def _is_applied(turn: Turn) -> bool:
    """Reports whether the offers are out and every connected agent has answered its own."""
    wave = turn.state.open_wave
    if wave is None or wave.pending:
        return False
    if not wave.members:
        close(turn, "its agents went offline before their offer")
        return False
    return not _in_flight(turn)


def _has_proof(turn: Turn) -> bool:
    return bool(_serving(turn))


def _serving(turn: Turn) -> tuple[str, ...]:
    members = turn.state.waves[turn.state.wave].members
    ours = ((agent, turn.nodes[agent]) for agent in members)
    return tuple(a for a, node in ours if node.standing == "serving" and node.is_online)


def _soak(turn: Turn) -> None:
    state, spec = turn.state, turn.state.spec
    wave = state.open_wave
    if wave is None:
        return
    if not spec.is_gated:
        close(turn, "every connected agent answered")
        return
    if not _has_proof(turn):
        turn.hold(f"no connected agent of the wave serves {spec.new}")
        return
    if wave.soak_clock is None:
        turn.go_on()
        turn.set_wave(soak_clock=state.clock_s, soak_at=turn.now)
        turn.note("soak", f"wave {state.wave + 1} ({wave.name}) serves and soaks")
        return
    is_last = state.wave == len(state.waves) - 1
    turn.commands.append(
        Measure(
            wave=state.wave,
            clock_s=state.clock_s,
            agents=_serving(turn),
            control=() if is_last else waves.control(spec, turn.nodes),
            seconds=max(state.clock_s - wave.soak_clock, 1.0),
            before_at=wave.began_at or turn.now,
            stale_s=spec.pace.stale_s,
        )
    )


def _succeed(turn: Turn) -> None:
    spec = turn.state.spec
    failed = sorted(a for a, n in turn.nodes.items() if n.standing == "failed")
    away = [a for a, n in turn.nodes.items() if not n.is_online]
    turn.commands.append(Settle(spec.revision))
    late = [a for a, n in turn.nodes.items() if n.desired != spec.revision]
    for agent in late:
        turn.set_node(agent, standing="offered", offered_at=turn.now, waited_s=0.0)
    turn.serve(spec.revision, late)
    text = f"the fleet serves {spec.new}"
    if away:
        text += f"; {len(away)} agents are offline and get it when connected again"
    if unable := turn.state.unable:
        text += f"; left out, since they cannot upgrade: {', '.join(unable)}"
    turn.enter("succeeded", text)
    if failed:
        turn.alarm(f"{', '.join(failed)} did not apply {spec.new}")
