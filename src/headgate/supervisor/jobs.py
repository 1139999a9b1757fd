"""Runs changes to sockets and data plane, one at a time: `listen`, `release`, `upgrade`."""

from __future__ import annotations

from headgate.supervisor import clients, control, planes
from headgate.supervisor.commands import (
    CloseSockets,
    OpenSockets,
    RefuseNew,
    Remember,
    Reply,
    Send,
    SendSockets,
)
from headgate.supervisor.state import JOB_S, SOCKETS_S, UPGRADE_S, Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headgate.supervisor.events import Message, OpenError
    from headgate.supervisor.state import State


def add(state: State, job: Job) -> None:
    """Queues a job. A request for an upgrade joins one under way, unless that brings another number
    of workers than was asked for since it began."""
    if job.op == "upgrade":
        newest = state.newest()
        is_late = newest is not None and newest.workers != state.workers
        for other in [None if is_late else state.job, *state.jobs]:
            if other is not None and other.op == "upgrade":
                other.askers += job.askers
                other.replaces_control |= job.replaces_control
                return
    state.jobs.append(job)
    _next(state)


def refuse_all(state: State, why: str) -> None:
    """Answers every unfinished job with an error."""
    waiting = [state.job, *state.jobs]
    state.job = None
    state.jobs.clear()
    state.timer("job", None)
    for job in waiting:
        if job is not None:
            _answer(state, job, {"ok": False, "error": why})


def opened(state: State, errors: tuple[OpenError, ...]) -> None:
    """Continues once the sockets of the running `listen` are open, or none of them is."""
    job = state.job
    if job is None or job.op != "listen":
        return
    if errors:
        found = [{"address": e.address, "error": e.error, "holder": e.holder} for e in errors]
        if job.own:
            state.log("error", "last_good_plan_not_served", {"errors": found})
        _finish(state, {"ok": False, "errors": found})
        return
    plane = state.serving()
    for address in job.new:
        state.listening[address] = job.backlog
        if plane is not None:
            state.emit(SendSockets(plane.generation, address))


def confirmed(state: State, generation: int, address: str) -> None:
    """Notes that a data plane has taken the sockets of an address."""
    job = state.job
    if job is None:
        return
    taker = state.successor if job.op == "upgrade" else state.current
    if generation != taker or job.op == "release":
        return
    job.waiting.discard(address)
    if not job.waiting:
        _done(state, job)


def not_taken(state: State, generation: int, address: str, why: str) -> None:
    """Fails the job because a data plane could not take the sockets of an address. Without a job
    the current one gets them again later: its clients wait in their queues."""
    job = state.job
    if job is not None and job.op == "upgrade" and generation == state.successor:
        planes.abandon_successor(state)
        successor_lost(state, f"{address}: {why}")
        if state.current is None:
            planes.spawn_current(state)
    elif job is not None and job.op == "listen" and address in job.waiting:
        _give_up(state, job)
        _finish(state, {"ok": False, "errors": [{"address": address, "error": why}]})
    elif generation == state.current and address in state.listening and state.phase == "running":
        state.refused[address] = generation
        state.timer("sockets", SOCKETS_S)


def send_again(state: State) -> None:
    """Sends the sockets again that the current data plane had no room for. One that came up since
    has got them all."""
    plane = state.serving()
    for address, generation in state.refused.items():
        if plane is not None and generation == plane.generation:
            state.emit(SendSockets(generation, address))
    state.refused.clear()


def closed(state: State, generation: int, address: str) -> None:
    """Closes our own copies once a data plane has released an address."""
    job = state.job
    if job is None or job.op != "release" or generation != state.current:
        return
    if address in job.waiting:
        job.waiting.discard(address)
        _forget(state, address)
    if not job.waiting:
        _finish(state, {"ok": True})


def plane_ready(state: State) -> None:
    """Continues what waited for a current data plane that is ready."""
    if state.job is not None and state.job.op == "listen" and not state.job.waiting:
        _done(state, state.job)


def plane_lost(state: State) -> None:
    """Notes that the current data plane is gone: nothing holds the released addresses any more."""
    job = state.job
    if job is not None and job.op == "release":
        for address in job.waiting:
            _forget(state, address)
        _finish(state, {"ok": True})


def successor_ready(state: State) -> None:
    """Notes that an upgrade's new data plane is up; it serves once it has every socket."""
    job = state.job
    if job is None or job.op != "upgrade":
        return
    job.waiting = set(state.listening)
    if not job.waiting:
        _done(state, job)


def successor_lost(state: State, why: str) -> None:
    """Ends an upgrade whose data plane did not start; the old one continues to serve."""
    if state.job is not None and state.job.op == "upgrade":
        state.log("error", "upgrade_failed", {"error": why})
        _finish(state, {"ok": False, "error": why})


def timed_out(state: State) -> None:
    """Ends the running job, which took too long."""
    job = state.job
    if job is None:
        return
    why = f"the data plane did not answer within {_time_s(job):g} s"
    state.log("error", "job_timed_out", {"op": job.op})
    if job.op == "upgrade":
        planes.abandon_successor(state)
        successor_lost(state, why)
        if state.current is None:
            planes.spawn_current(state)
        return
    _give_up(state, job)
    _finish(state, {"ok": False, "error": why} if job.op == "listen" else {"ok": True})


def _give_up(state: State, job: Job) -> None:
    """Closes every address of a `listen` that failed, or what is left of a `release`."""
    plane = state.serving()
    for address in job.new if job.op == "listen" else sorted(job.waiting):
        if plane is not None and job.op == "listen":
            state.emit(Send(plane.generation, {"op": "close", "address": address}))
        _forget(state, address)


def _time_s(job: Job) -> float:
    return UPGRADE_S if job.op == "upgrade" else JOB_S


def _next(state: State) -> None:
    if state.job is not None or not state.jobs:
        return
    job = state.job = state.jobs.popleft()
    state.timer("job", _time_s(job))
    if job.op == "listen":
        _listen(state, job)
    elif job.op == "release":
        _release(state, job)
    else:
        state.log("info", "upgrade", {})
        state.successor = planes.spawn(state).generation


def _listen(state: State, job: Job) -> None:
    new = tuple(a for a in dict.fromkeys(job.addresses) if a not in state.listening)
    job.waiting, job.new = set(new), new
    if new:
        state.emit(OpenSockets(new, job.backlog))
    elif state.serving() is not None:
        _done(state, job)


def _release(state: State, job: Job) -> None:
    plane = state.serving()
    held = [a for a in dict.fromkeys(job.addresses) if a in state.listening]
    if plane is None:
        for address in held:
            _forget(state, address)
        held = []
    job.waiting = set(held)
    for address in held:
        state.refused.pop(address, None)
        if plane is not None:
            state.emit(RefuseNew(address))
            state.emit(Send(plane.generation, {"op": "close", "address": address}))
    if not held:
        _finish(state, {"ok": True})


def _done(state: State, job: Job) -> None:
    if job.op == "upgrade":
        planes.promote(state)
        # Last, so that the answer is written before the control process ends: the next one runs the
        # code installed now.
        _finish(state, {"ok": True, "dataplane": clients.dataplane(state)})
        if job.replaces_control:
            control.replace(state)
        return
    if job.own:
        clients.ready(state)  # the last good plan is served
    _finish(state, {"ok": True})


def _forget(state: State, address: str) -> None:
    state.refused.pop(address, None)
    if state.listening.pop(address, None) is not None:
        state.emit(CloseSockets(address))


def _finish(state: State, answer: Message) -> None:
    job, state.job = state.job, None
    state.timer("job", None)
    if job is not None:
        if job.op != "upgrade" and not job.own:
            state.emit(Remember(dict(state.listening)))
        _answer(state, job, answer)
    _next(state)


def _answer(state: State, job: Job, answer: Message) -> None:
    for client, request in job.askers:
        state.emit(Reply(client, {"id": request, **answer}))
