"""Runs the life of the control process: traffic flows without it, so it is simply started again."""

from __future__ import annotations

import signal

from headgate.supervisor import jobs, leaving
from headgate.supervisor.commands import AnswerAway, SignalControl, SpawnControl
from headgate.supervisor.state import AWAY_S, DEAD_ON_ARRIVAL, EXIT_CANNOT, EXIT_CONFIG, Job, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headgate.supervisor.state import State


def spawn(state: State) -> None:
    """Starts the control process."""
    state.control_backoff.started(state.now)
    state.control_alive = True
    state.control_is_connected = False
    if "away" not in state.timers:
        state.timer("away", AWAY_S)
    state.emit(SpawnControl())


def away(state: State) -> None:
    """Tells clients that wait for a control process that none has come up so far."""
    if not state.control_is_connected:
        state.emit(AnswerAway())
        state.timer("away", AWAY_S)


def replace(state: State) -> None:
    """Ends the control process; the next one runs the code installed by then."""
    if state.control_alive:
        state.control_replaced = True
        state.emit(SignalControl(signal.SIGTERM))
        if "replaced" not in state.timers:
            state.timer("replaced", state.settings.control_grace_s)


def kill_replaced(state: State) -> None:
    """Kills a control process that did not end in time for the next one."""
    state.emit(SignalControl(signal.SIGKILL))


def exited(state: State, status: int) -> None:
    """Handles the end of the control process."""
    state.control_alive = False
    state.control_is_connected = False
    state.timer("replaced", None)
    if state.phase != "running":
        leaving.check(state)
        return
    if state.control_replaced:
        state.control_replaced = False
        spawn(state)
        return
    is_hopeless = not state.config_was_applied and not _boots_alone(state)
    if status in {EXIT_CONFIG, EXIT_CANNOT} and is_hopeless:
        # It said why on standard error. There is nothing to serve and nothing to mend it.
        leaving.quit_now(state, EXIT_CONFIG if status == EXIT_CONFIG else 1)
        return
    state.restarts["control"] += 1
    state.log("error", "control_exited", {"status": reason(status)})
    if not state.config_was_applied:
        serve_last_good(state)
    delay = state.control_backoff.died(state.now)
    nothing_served = not state.config_was_applied and not state.listening
    if nothing_served and state.control_backoff.failures >= DEAD_ON_ARRIVAL:
        state.log("error", "control_cannot_start", {"tried": DEAD_ON_ARRIVAL})
        leaving.quit_now(state, 1)
    elif delay == 0.0:
        spawn(state)
    else:
        state.timer("control", delay)


def _boots_alone(state: State) -> bool:
    """Reports whether the last good plan is served whatever the control process does."""
    return bool(state.settings.last_good) and state.settings.fallback_s <= 0


def serve_last_good(state: State) -> None:
    """Opens the listeners of the last good plan: the control process has not come up in time."""
    state.timer("fallback", None)
    last_good = state.settings.last_good
    if state.config_was_applied or not last_good or state.listening:
        return
    state.log("warning", "serving_last_good_plan", {"addresses": list(last_good)})
    job = Job("listen", None)
    job.addresses, job.backlog = tuple(last_good), max(last_good.values())
    jobs.add(state, job)
