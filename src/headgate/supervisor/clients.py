"""Handles requests on the supervisor's Unix socket:
from the control process, or the CLI without it.
"""

from __future__ import annotations

from headgate.supervisor import control, jobs, leaving
from headgate.supervisor.commands import Notify, Reply
from headgate.supervisor.cpus import MAX_WORKERS
from headgate.supervisor.state import Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headgate.supervisor.events import Message
    from headgate.supervisor.state import Plane, State

DEFAULT_BACKLOG = 4096
_MAX_STATUS = 200


def dataplane(state: State) -> Message | None:
    """Returns the current data plane as messages name it; None while none is ready."""
    plane = state.serving()
    return None if plane is None else described(state, plane)


def described(state: State, plane: Plane) -> Message:
    """Returns a data plane as messages name it."""
    return {
        "generation": plane.generation,
        "pid": plane.pid,
        "grpc_socket": state.settings.grpc_socket(plane.generation),
    }


def broadcast(state: State, message: Message) -> None:
    """Sends an event to every client that said hello."""
    for client in sorted(state.subscribers):
        state.emit(Reply(client, message))


def gone(state: State, client: int) -> None:
    """Notes that a client has hung up; its request continues."""
    state.subscribers.discard(client)
    for job in [state.job, *state.jobs]:
        if job is not None:
            job.askers = [asker for asker in job.askers if asker[0] != client]


def said(state: State, client: int, message: Message) -> None:
    """Handles a request; the answer has its `id`."""
    op, request = message.get("op"), message.get("id")
    if not isinstance(op, str):
        op = None
    if op in {"listen", "release", "upgrade"}:
        _change(state, client, message)
        return
    answer: Message = {"ok": True}
    if op == "hello":
        state.subscribers.add(client)
        state.control_is_connected = True
        state.timer("away", None)
        answer |= _about(state)
    elif op == "status":
        answer |= _about(state)
    elif op == "control_ready":
        ready(state)
    elif op == "reloading":
        state.emit(Notify(f"RELOADING=1\nMONOTONIC_USEC={int(state.now * 1_000_000)}"))
    elif op == "reloaded":
        text = str(message.get("status", ""))[:_MAX_STATUS].replace("\n", " ")
        state.emit(Notify(f"READY=1\nSTATUS={text}"))
    elif op == "workers":
        _set_workers(state, message.get("count"))
    elif op == "drain":
        state.emit(Reply(client, {"id": request, **answer}))
        leaving.drain(state)
        return
    else:
        answer = {"ok": False, "error": f"unknown op {op!r}"}
    state.emit(Reply(client, {"id": request, **answer}))


def ready(state: State) -> None:
    """Reports to systemd that a config is served: it may start what depends on us."""
    state.control_backoff.worked()
    state.timer("fallback", None)
    if not state.config_was_applied:
        state.config_was_applied = True
        ours = ", ".join(state.listening) or "nothing"
        where = ours if state.settings.has_data_plane else "through nginx"
        state.emit(Notify(f"READY=1\nSTATUS=serving {where}"[:_MAX_STATUS]))


def _change(state: State, client: int, message: Message) -> None:
    request = message.get("id")
    if state.phase != "running":
        state.emit(Reply(client, {"id": request, "ok": False, "error": "the node is leaving"}))
        return
    op = str(message["op"])
    if not state.settings.has_data_plane:
        if op == "upgrade":
            # Nothing is handed over: nginx still serves, and the next control process finds it.
            state.emit(Reply(client, {"id": request, "ok": True, "dataplane": None}))
            control.replace(state)
            return
        why = "nginx opens the listeners of this node: its engine is nginx"
        state.emit(Reply(client, {"id": request, "ok": False, "error": why}))
        return
    job = Job(op, client, request)
    addresses, backlog = message.get("addresses"), message.get("backlog")
    if isinstance(addresses, list):
        job.addresses = tuple(str(address) for address in addresses)
    job.backlog = backlog if isinstance(backlog, int) and backlog > 0 else DEFAULT_BACKLOG
    jobs.add(state, job)


def _set_workers(state: State, count: object) -> None:
    """Changes the number of workers by a new data plane, which takes over as in an upgrade."""
    workers = count if isinstance(count, int) and count > 0 else state.settings.default_workers
    workers = min(workers, MAX_WORKERS)
    newest = state.newest()
    has_it = newest is None or newest.workers == workers  # not if its data plane did not come up
    if (workers == state.workers and has_it) or state.phase != "running":
        return
    state.workers = workers
    if not state.settings.has_data_plane:
        return
    job = Job("upgrade", None)
    job.replaces_control = False
    jobs.add(state, job)


def _about(state: State) -> Message:
    return {
        "dataplane": dataplane(state),
        "listening": list(state.listening),
        "workers": state.workers,
        "restarts": dict(state.restarts),
        "hung": state.hung,
        "phase": state.phase,
        "control_is_connected": state.control_is_connected and not state.control_replaced,
        "config_was_applied": state.config_was_applied,
    }
