"""Decides a rollout as a machine: `handle(state, event, now) -> (state, commands)`. Pure.

| phase     | event                                  | next       | commands                    |
|-----------|----------------------------------------|------------|-----------------------------|
| queued    | Begin, approvals missing               | waiting    |                             |
| queued    | Begin                                  | rolling    |                             |
| waiting   | Approve, the last one                  | rolling    |                             |
| rolling   | Look: no wave is open                  | rolling    | Serve the next wave's agents|
| rolling   | Look: agents have no offer yet         | rolling    | Serve more of them          |
| rolling   | Look: all agents of the wave left      | rolling    | Serve others in their place |
| rolling   | Look: the wave serves                  | rolling    | Measure it and its control  |
| rolling   | Look: an agent refused                 | undoing    | Settle, Serve the old       |
| rolling   | Measured: a gate fails                 | undoing    | Settle, Serve the old       |
| rolling   | Measured: nothing to decide by         | rolling    | Alarm after an hour         |
| rolling   | Measured: passed, the soak is over     | rolling    | the next look goes on       |
| rolling   | the last wave passed                   | succeeded  | Settle, Serve those offline |
| rolling   | Order: abort, undo                     | undoing    | Settle, Serve the old       |
| rolling   | Supersede                              | superseded |                             |
| rolling   | a failure, no earlier revision         | failed     | Alarm                       |
| undoing   | Look: connected agents are back        | undone     | Alarm if one refused        |
| succeeded | Order: undo                            | undoing    | Settle, Serve the old       |
| queued, waiting | Order: abort                     | aborted    |                             |

A rollout decides by looks at the whole fleet, not by single messages, so that one which is lost,
late or repeated changes nothing. What a command did not bring about is commanded again.
"""

import msgspec

from headgate.master.domains.rollouts import looking, orders, rolling, undoing
from headgate.master.domains.rollouts.events import (
    Approve,
    Begin,
    Command,
    Event,
    Look,
    Measured,
    Order,
    Resumed,
    Supersede,
)
from headgate.master.domains.rollouts.spec import Spec, waves_of
from headgate.master.domains.rollouts.state import Rollout, WaveRecord
from headgate.master.domains.rollouts.turn import Turn


def create(spec: Spec, now: float) -> Rollout:
    """Returns a rollout that waits for its turn."""
    turn = Turn(Rollout(spec, tuple(WaveRecord(str(wave)) for wave in waves_of(spec))), now)
    turn.note("queued", f"{spec.author} asked for {spec.new}")
    return turn.state


def handle(state: Rollout, event: Event, now: float) -> tuple[Rollout, list[Command]]:
    """Returns the state after an event and the commands that follow; `now` is the day's clock.

    Raises `Invalid` for an order that the rollout cannot have: it changes nothing.
    """
    turn = Turn(state, now)
    turn.tick()
    match event:
        case Look():
            _look(turn, event)
        case Measured():
            if state.phase == "rolling":
                rolling.measured(turn, event)
        case Begin():
            _begin(turn, event)
        case Resumed():
            _resume(turn, state, event)
        case Order():
            orders.obey(turn, event)
        case Approve():
            orders.approve(turn, event)
        case Supersede():
            orders.supersede(turn, event)
    return turn.result()


def _look(turn: Turn, look: Look) -> None:
    if looking.is_late(turn.state, look, turn.now):
        return
    looking.merge(turn, look)
    if turn.state.phase == "rolling":
        rolling.go(turn)
    elif turn.state.phase == "undoing":
        undoing.watch(turn)


def _begin(turn: Turn, event: Begin) -> None:
    if turn.state.phase != "queued":
        return
    # Another one may have ended since this one was asked for.
    spec = msgspec.structs.replace(turn.state.spec, base=event.base)
    turn.set(began_at=turn.now, spec=spec)
    turn.need(event.approvals)
    missing = turn.state.spec.approvals - len(turn.state.approvals)
    if missing > 0:
        turn.enter("waiting", f"approvals that are missing: {missing}")
    else:
        orders.start(turn)


def _resume(turn: Turn, before: Rollout, event: Resumed) -> None:
    """Nothing counts as seen while no driver looked, nor before agents could connect again. One
    that has not begun may begin as soon as the driver has looked for that long."""
    if turn.state.has_ended:
        return
    left_s = turn.state.spec.pace.settle_s
    if turn.state.phase in {"rolling", "undoing"}:
        turn.note("resumed", "a master took the rollout over")
    else:
        left_s = max(left_s - event.since_s, 0.0)
    turn.set(clock_s=before.clock_s, settled_clock=before.clock_s + left_s)
