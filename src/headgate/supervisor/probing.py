"""Finds data planes that hang: probes each, and kills it after three missed probes in a row.

The answer takes the process's own thread and every worker going round once, so that neither a
large config nor much traffic delays it: applying has a thread of its own, and workers never wait.
"""

from __future__ import annotations

from headgate.supervisor.commands import EndHung, Send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headgate.supervisor.state import State

PROBE_S = 2.0
MISSES = 3
START_S = 120.0  # a data plane that is not ready by then hangs; it only reads what it served last
LATE_S = 0.5  # we did not run ourselves: the machine is busy, or was asleep


def begin(state: State) -> None:
    """Begins to probe data planes."""
    if state.settings.has_data_plane:
        state.timer("probe", PROBE_S)
        state.probe_due = state.now + PROBE_S


def probe(state: State) -> None:
    """Counts missed probes, ends data planes that hang, probes again."""
    on_time = state.now - state.probe_due <= LATE_S
    for plane in state.planes.values():
        if plane.state == "starting":
            if state.now - plane.born >= START_S:
                state.emit(EndHung(plane.generation))
            continue
        if not plane.answers_probes:
            continue
        if plane.is_asked and on_time:
            plane.missed += 1
        if plane.missed >= MISSES:
            state.emit(EndHung(plane.generation))
        else:
            plane.is_asked = True
            state.emit(Send(plane.generation, {"op": "probe"}))
    begin(state)
