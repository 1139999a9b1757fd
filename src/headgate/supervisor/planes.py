"""Runs the life of data planes: starts them, replaces dead ones, hands over in an upgrade."""

from __future__ import annotations

import signal

from headgate.supervisor import clients, jobs, leaving
from headgate.supervisor.commands import (
    CloseSockets,
    HandOver,
    Send,
    SendSockets,
    SignalDataPlane,
    SpawnDataPlane,
    WidenSockets,
)
from headgate.supervisor.state import DEAD_ON_ARRIVAL, Plane, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headgate.supervisor.events import Message
    from headgate.supervisor.state import State


def spawn(state: State) -> Plane:
    """Starts one more data plane and sends it its configuration.

    Beside a data plane that serves, it reads nothing of UDP clients until `take_flows`.
    """
    state.generation += 1
    plane = Plane(state.generation, state.workers, state.now)
    state.planes[plane.generation] = plane
    settings = state.settings
    start: Message = {
        "op": "start",
        "generation": plane.generation,
        "state_dir": settings.state_dir,
        "grpc_socket": settings.grpc_socket(plane.generation),
        "workers": state.workers,
        "cpus": settings.cpus[: state.workers],
        "awaits_flows": state.serving() is not None,
        **_tickets(state),
    }
    state.emit(SpawnDataPlane(plane.generation), Send(plane.generation, start))
    return plane


def spawn_current(state: State) -> None:
    """Starts the data plane that will serve, in place of one that waits to be started."""
    state.timer("dataplane", None)
    state.plane_backoff.started(state.now)
    state.current = spawn(state).generation


def said(state: State, generation: int, message: Message) -> None:
    """Handles a packet from a data plane."""
    plane = state.planes.get(generation)
    if plane is None:
        return
    op, address = message.get("op"), str(message.get("address", ""))
    if op == "ready":
        _ready(state, plane, message)
    elif op == "alive":
        plane.is_asked, plane.missed = False, 0
    elif op == "sockets_ok":
        jobs.confirmed(state, generation, address)
    elif op == "sockets_failed":
        why = str(message.get("error", ""))
        state.log("error", "sockets_failed", {"address": address, "error": why})
        jobs.not_taken(state, generation, address, why)
    elif op == "closed" and state.phase == "running":
        jobs.closed(state, generation, address)
    elif op == "closed" and generation == state.current:
        state.listening.pop(address, None)
        state.emit(CloseSockets(address))
    elif op == "worker_lost":
        state.log("error", "worker_lost", {"generation": generation, "index": message.get("index")})


def hung(state: State, generation: int) -> None:
    """Counts a killed data plane that had hung; its exit follows as after any other end."""
    plane = state.planes.get(generation)
    if plane is None:
        return
    state.hung += 1
    fields: Message = {"generation": generation, "pid": plane.pid, "probes_missed": plane.missed}
    state.log("error", "dataplane_hung", fields)
    clients.broadcast(state, {"event": "dataplane_hung", "generation": generation})


def exited(state: State, generation: int, status: int) -> None:
    """Handles the end of a data plane; replaces the current one, at once the first time."""
    plane = state.planes.pop(generation, None)
    if plane is None:
        return
    expected = plane.state == "leaving" or state.phase != "running"
    level = "info" if expected and status == 0 else "error"
    fields: Message = {"generation": generation, "pid": plane.pid, "status": reason(status)}
    state.log(level, "dataplane_exited", fields)
    if generation == state.current:
        state.current = None
        if plane.state == "ready":
            lost = {"event": "dataplane_lost", **clients.described(state, plane)}
            clients.broadcast(state, lost)
    if state.phase != "running":
        leaving.check(state)
    elif generation == state.successor:
        state.successor = None
        jobs.successor_lost(state, f"the new data plane ended: {reason(status)}")
        if state.current is None:
            _restart(state)
    elif plane.state != "leaving" and state.successor is not None:
        state.restarts["dataplane"] += 1  # the successor is its replacement
    elif plane.state != "leaving":
        _restart(state)


def _restart(state: State) -> None:
    state.restarts["dataplane"] += 1
    delay = state.plane_backoff.died(state.now)
    if not state.plane_was_ready and state.plane_backoff.failures >= DEAD_ON_ARRIVAL:
        state.log("error", "dataplane_cannot_start", {"tried": DEAD_ON_ARRIVAL})
        leaving.quit_now(state, 1)
        return
    jobs.plane_lost(state)
    if delay == 0.0:
        spawn_current(state)
    else:
        state.timer("dataplane", delay)


def _ready(state: State, plane: Plane, message: Message) -> None:
    if plane.state != "starting":
        return
    plane.state = "ready"
    pid = message.get("pid")
    plane.pid = pid if isinstance(pid, int) else 0
    plane.answers_probes = message.get("answers_probes") is True
    plane.moves_flows = message.get("moves_flows") is True
    # The folder of an empty one has lost its plan, if something is served.
    is_empty = message.get("is_empty") is True and bool(state.listening)
    plane.lost_plan = message.get("lost_plan") is True or is_empty
    fields: Message = {"generation": plane.generation, "pid": plane.pid}
    state.log("info", "dataplane_ready", {**fields, "plan_digest": message.get("plan_digest", "")})
    if plane.generation == state.successor and plane.lost_plan and _keeps_plan(state):
        abandon_successor(state)
        jobs.successor_lost(state, "the new data plane has not got the last good plan; see the log")
        return
    state.plane_was_ready = True
    # Not before: connections in a socket's queue wait until a process accepts them.
    state.emit(WidenSockets(state.workers))
    for address in state.listening:
        state.emit(SendSockets(plane.generation, address))
    if plane.generation == state.successor:
        jobs.successor_ready(state)
        return
    state.plane_backoff.worked()
    clients.broadcast(state, {"event": "dataplane", **(clients.dataplane(state) or {})})
    jobs.plane_ready(state)


def _keeps_plan(state: State) -> bool:
    """Says whether there is a data plane that would lose its plan to a successor without one."""
    plane = state.serving()
    return plane is not None and not plane.lost_plan


def promote(state: State) -> None:
    """Makes the successor, which serves now, the current one; the old one leaves, and none is
    started any more in its place."""
    state.timer("dataplane", None)
    old, new = state.planes.get(state.current or 0), state.planes.get(state.successor or 0)
    state.current, state.successor = state.successor, None
    state.plane_backoff.started(state.now)
    if old is not None and new is not None and old.moves_flows and new.moves_flows:
        state.emit(HandOver(old.generation, new.generation))
    else:
        if old is not None:
            state.emit(Send(old.generation, {"op": "handoff"}))
        if new is not None and new.moves_flows:
            state.emit(Send(new.generation, {"op": "take_flows"}))
    if old is not None:
        old.state = "leaving"
    clients.broadcast(state, {"event": "dataplane", **(clients.dataplane(state) or {})})


def abandon_successor(state: State) -> None:
    """Kills a successor that did not come up."""
    if state.successor is not None:
        state.planes[state.successor].state = "leaving"
        state.emit(SignalDataPlane(state.successor, signal.SIGKILL))
        state.successor = None


def advance_tickets(state: State) -> None:
    """Ratchets the ticket secrets and tells every data plane."""
    state.tickets.advance()
    for generation in state.planes:
        state.emit(Send(generation, {"op": "tickets", **_tickets(state)}))


def _tickets(state: State) -> Message:
    return {"ticket_secrets": state.tickets.hex(), "ticket_epoch": state.tickets.epoch}
