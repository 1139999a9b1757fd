"""Row 12: the data plane is killed; a worker of two is lost."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from fault_lab import Lab, Seen, SkippedError, ask, get, kinds, total
from running_node import RunningNode
from waiting import until

WAITS = "epoll_wait,epoll_pwait,epoll_pwait2"


def lost(lab: Lab, seen: Seen) -> None:
    """Row 12: SIGKILL to the data plane, twice; then one of two workers is lost, twice."""
    _killed(lab, seen)
    _lost_worker(lab, seen)


def _killed(lab: Lab, seen: Seen) -> None:
    upstream = lab.endpoint()
    with lab.node(lab.config(upstream.address)).until_ready() as node:
        gaps: list[float] = []
        for turn in range(2):
            generation, pid = node.data_plane()
            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            answer = get(lab.port)
            gaps.append(time.monotonic() - began)
            seen.check(
                f"kill {turn + 1}: a new connection got {answer.status}", answer.status == 200
            )
            until(lambda g=generation: node.data_plane()[0] > g, "a new data plane")  # type: ignore[misc]
            until(lambda: node.admin_status("/ready") == 200, "readiness")
        seen.check(f"answered after at most {max(gaps) * 1000:.0f} ms", max(gaps) < 1.0)
        count = total(node, "headgate_dataplane_restarts_total")
        seen.check(f"counted: {count:.0f}", count == 2)


def _lost_worker(lab: Lab, seen: Seen) -> None:
    """The wait for events of a worker fails, which takes the way a panic takes.

    A panic itself is in the engine's own tests: nothing in the product can be told to panic.
    """
    upstream = lab.endpoint()
    text = lab.config(upstream.address)
    with lab.node(text, "--no-watch", "--workers", "2").until_ready() as node:
        crowd = [socket.create_connection(("127.0.0.1", lab.port), 5) for _ in range(64)]
        until(lambda: sum(_per_worker(node)) == len(crowd), "both workers to have accepted")
        seen.check("64 connections on two workers, each answered", all(map(ask, crowd)))
        shares = _per_worker(node)
        _lose(node, 0)
        left = [one for one in crowd if ask(one)]
        seen.check(
            f"worker 0 of {shares} lost: {len(crowd) - len(left)} connections lost, "
            f"{len(left)} answered on",
            len(crowd) - len(left) == shares[0],
        )
        load = lab.storm(4)
        time.sleep(1)
        _lose(node, 1)
        whole, failures = load.result()
        in_flight = all(one["kind"] in {"reset", "closed"} for one in failures)
        seen.check(
            f"worker 1 lost under load: {whole['answers']:,} answers, failures: {kinds(failures)} "
            "of 32 connections",
            whole["answers"] > 1000 and in_flight and len(failures) < 32,
        )
        seen.check(f"longest wait {whole['worst_ms']:.0f} ms", whole["worst_ms"] < 1000)
        count = total(node, "headgate_worker_restarts_total")
        seen.check(f"counted: {count:.0f}", count == 2)
        died = total(node, "headgate_dataplane_restarts_total")
        seen.check(f"data planes lost meanwhile: {died:.0f}", died == 0)
        for one in crowd:
            one.close()


def _per_worker(node: RunningNode) -> list[int]:
    """Connections of each worker."""
    page = node.admin("GET", "/metrics")[1].decode()
    found = re.findall(r'(?m)^headgate_worker_connections{worker="(\d+)"} (\d+)', page)
    return [int(count) for _, count in sorted(found)]


def _lose(node: RunningNode, index: int) -> None:
    """Makes one wait of a worker's thread fail: EBADF, by the kernel's tracer."""
    strace = shutil.which("strace")
    if strace is None:
        raise SkippedError("strace is missing: sudo make system-deps")
    before = total(node, "headgate_worker_restarts_total")
    command = [strace, "-p", str(_thread(node.data_plane()[1], index)), "-o", "/dev/null"]
    command += ["-e", f"trace={WAITS}", "-e", f"inject={WAITS}:error=EBADF:when=1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        try:
            said = tracer.stderr.readline() if tracer.stderr else ""
            if "attached" not in said:
                raise SkippedError(f"strace may not attach here: {said.strip()}")
            until(lambda: total(node, "headgate_worker_restarts_total") > before, "the loss")
        finally:
            tracer.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                tracer.wait(5)


def _thread(pid: int, index: int) -> int:
    """The thread of a worker."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    name = f"worker-{index}"
    return next(int(one.name) for one in tasks if (one / "comm").read_text().strip() == name)
