"""The open loop in the background, with those that matter put before everything else on their core.

With normal scheduling load and upstream take turns by time slices of some milliseconds, and a p99
says how long those are. Here both run by SCHED_FIFO, of the same priority: each until it has
nothing to do, some tens of microseconds, and what else runs on that core (headgate's control
process, this harness) waits for both. With the load above the upstream, which was tried, it cuts in
on the upstream's every answer, and a backlog of milliseconds feeds itself.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator

from loads import Figures, Load, figures, own_command
from machine import LOAD_CPU, tasks
from running import RunningPeer, command_prefix
from workdir import client_environment

PRIORITY = 1
"""The lowest one: the kernel's own threads of that class stay before."""


@contextlib.contextmanager
def first_in_line(backend_pid: int, proxies: Iterable[int] = ()) -> Iterator[bool]:
    """Gives the upstream real-time scheduling and keeps this process off the proxy's core.

    `proxies`: processes that get it too, for good, all of their threads. Yields whether that is so;
    without the right to it (CAP_SYS_NICE, or a control group without real-time runtime) all stay
    as they are, and the load must be started without it too.
    """
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CPU})
    try:
        first = _scheduled(backend_pid, os.SCHED_FIFO, PRIORITY)
        for pid in proxies if first else ():
            for task in tasks(pid):
                # Threads of one proxy take turns: one that spins must not shut out another.
                _scheduled(task, os.SCHED_RR, PRIORITY)
        try:
            yield first
        finally:
            if first:
                _scheduled(backend_pid, os.SCHED_OTHER, 0)
    finally:
        os.sched_setaffinity(0, mine)


def _scheduled(task: int, policy: int, priority: int) -> bool:
    try:
        os.sched_setscheduler(task, policy, os.sched_param(priority))
    except PermissionError:
        return False
    except ProcessLookupError:  # it has ended meanwhile
        pass
    return True


class Client:
    """A load that runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def result(self) -> Figures:
        """Waits for its end. Raises LoadError."""
        text, _ = self._process.communicate(timeout=120)
        return figures(text)


@contextlib.contextmanager
def loaded(
    one: RunningPeer,
    load: Load,
    seconds: float,
    rate: float,
    *,
    warm_up: float = 0.0,
    first: bool = False,
) -> Iterator[Client]:
    """So many requests a second in the background; `first`: by real-time scheduling.

    `warm_up` is seconds before them, at the same rate and not counted.
    """
    prefix = ["chrt", "-f", str(PRIORITY)] if first else []
    prefix += command_prefix(LOAD_CPU)
    command = [*prefix, *own_command(one, load, seconds, rate, warm_up)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=client_environment()
    ) as process:
        try:
            yield Client(process)
        finally:
            process.kill()
