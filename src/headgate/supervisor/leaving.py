"""Ends the node: drains on the first SIGTERM or SIGINT, quits on the second, or
when nothing works.
"""

from __future__ import annotations

import signal

from headgate.supervisor import clients, jobs, probing
from headgate.supervisor.commands import Leave, Notify, Send, SignalControl, SignalDataPlane
from headgate.supervisor.state import QUIT_GRACE_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headgate.supervisor.state import State


def drain(state: State) -> None:
    """Announces the end, lets the data planes finish, then leaves.
    Does nothing if that is under way.
    """
    if state.phase != "running":
        return
    state.phase = "draining"
    state.log("info", "draining", {})
    _announce(state)
    clients.broadcast(state, {"event": "draining"})
    for plane in state.planes.values():
        if plane.state == "leaving":
            continue  # an upgrade's old data plane drains already
        serves = plane.state == "ready" and plane.generation == state.current
        state.emit(Send(plane.generation, {"op": "drain" if serves else "quit"}))
    check(state)


def quit_now(state: State, code: int) -> None:
    """Ends everything without waiting for requests in flight; `code` is the exit code."""
    if state.phase == "quitting":
        return
    state.exit_code = state.exit_code or code
    state.phase = "quitting"
    state.log("info", "quitting", {})
    _announce(state)
    for generation in state.planes:
        state.emit(Send(generation, {"op": "quit"}))
    if state.control_alive:
        state.emit(SignalControl(signal.SIGTERM))
    state.timer("kill", QUIT_GRACE_S)
    check(state)


def check(state: State) -> None:
    """Continues after the data planes have ended: ends the control process, then leaves."""
    if state.phase == "running" or state.planes:
        return
    if not state.control_alive:
        state.emit(Leave(state.exit_code))
    elif "kill" not in state.timers:
        state.emit(SignalControl(signal.SIGTERM))
        state.timer("kill", state.settings.control_grace_s)


def kill(state: State) -> None:
    """Kills what did not leave in time."""
    for generation in state.planes:
        state.emit(SignalDataPlane(generation, signal.SIGKILL))
    if state.control_alive:
        state.emit(SignalControl(signal.SIGKILL))


def _announce(state: State) -> None:
    state.timers.clear()
    state.timer("watchdog", state.settings.watchdog_s)
    probing.begin(state)
    state.emit(Notify("STOPPING=1"))
    jobs.refuse_all(state, "the node is leaving")
