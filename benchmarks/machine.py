"""Readings of the machine: its limits, CPU clocks, memory of processes, how busy the rest of it is,
pinning."""

import os
import platform
import re
import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_CPUS = sorted(os.sched_getaffinity(0))
PROXY_CPU = _CPUS[0]
LOAD_CPU = _CPUS[-1]
"""The proxy has one core for itself; load and upstream share another."""
DESCRIPTORS = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 50_000)
"""The descriptors that a peer may open; no peer is configured to open more than it can."""
SESSIONS = min((DESCRIPTORS - 2_000) // 2, 20_000)
"""Connections that a peer can pass on at once: each takes two descriptors."""


_CGROUP = Path("/sys/fs/cgroup")


def limits() -> dict[str, str | int | float]:
    """Returns what this machine gives a process at the most, what it runs, and its load now.

    A control group may allow less than the machine has: then its limits are told.
    """
    cores = float(len(_CPUS))
    quota, _, period = _said(_CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        cores = min(cores, int(quota) / int(period))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = _said(_CGROUP / "memory.max").strip()
    if most.isdigit():
        memory = min(memory, int(most))
    processor = re.search(r"(?m)^model name\s*: (.*)$", _said(Path("/proc/cpuinfo")))
    return {
        "at": time.strftime("%Y-%m-%d", time.gmtime()),
        "cores": round(cores, 2),
        "processor": processor[1].strip() if processor else platform.machine(),
        "memory_mib": memory >> 20,
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def _said(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def tree(pid: int) -> list[int]:
    """A process and its living descendants."""
    found = [pid]
    for task in tasks(pid):
        try:
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += tree(int(child))
    return found


def tasks(pid: int) -> list[int]:
    """The threads of a process; none when it has ended."""
    try:
        names = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return []
    return [int(name) for name in names]


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds that processes have used, to the nanosecond; those that are gone count nothing.

    `(~pid << 3) | 2` is the kernel's id of a process's CPU clock (clock_getcpuclockid(3)).
    """
    total = 0.0
    for pid in pids:
        try:
            total += time.clock_gettime((~pid << 3) | 2)
        except OSError:
            continue
    return total


def user_share(pids: Iterable[int]) -> tuple[int, int]:
    """Ticks in user mode and in the kernel."""
    user = kernel = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        user += int(fields[11])
        kernel += int(fields[12])
    return user, kernel


def pss_bytes(pids: Iterable[int]) -> int:
    """Memory of processes; what they share with others is divided by how many share it."""
    return sum(_kib(f"/proc/{pid}/smaps_rollup", "Pss") for pid in pids)


def peak_rss_bytes(pids: Iterable[int]) -> int:
    """The most resident memory that each had, summed."""
    return sum(_kib(f"/proc/{pid}/status", "VmHWM") for pid in pids)


def _kib(path: str, field: str) -> int:
    try:
        found = re.search(rf"(?m)^{field}:\s+(\d+) kB", Path(path).read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def pin(pids: Iterable[int], cpu: int) -> None:
    """Has every thread of the processes run on one CPU only."""
    for pid in pids:
        for task in tasks(pid):
            try:
                os.sched_setaffinity(task, {cpu})
            except ProcessLookupError:
                continue


@dataclass(frozen=True)
class Busy:
    """The time that the CPUs have been busy since boot, in seconds; `stolen` by the hypervisor."""

    at: float
    all: float
    stolen: float
    load_cpu: float

    @classmethod
    def now(cls) -> "Busy":
        """Reads it."""
        busy = stolen = load = 0.0
        for line in Path("/proc/stat").read_text().splitlines():
            found = re.match(r"cpu(\d+) (.*)", line)
            if not found:
                continue
            ticks = [int(field) for field in found[2].split()[:8]]
            one = (sum(ticks) - ticks[3] - ticks[4]) / _TICKS
            busy += one
            stolen += ticks[7] / _TICKS
            if int(found[1]) == LOAD_CPU:
                load = one
        return cls(time.monotonic(), busy, stolen, load)


class Window:
    """A stretch of time: what processes used in it, and what strangers did."""

    def __init__(self, measured: list[int], whole: list[int], others: list[int]) -> None:
        """`measured`: the data plane; `whole`: its whole tree; `others`: ours besides."""
        self._sets = (measured, whole, others)
        self._cpu = [cpu_s(pids) for pids in self._sets]
        self._ticks = user_share(measured)
        self._children = _children_s()
        self._busy = Busy.now()

    def close(self) -> dict[str, float]:
        """CPU seconds (`data`, `tree`, `machine` = all cores), shares, foreign and stolen CPUs."""
        used = [cpu_s(pids) - before for pids, before in zip(self._sets, self._cpu, strict=True)]
        busy = Busy.now()
        took = busy.at - self._busy.at
        ticks = user_share(self._sets[0])
        user, kernel = ticks[0] - self._ticks[0], ticks[1] - self._ticks[1]
        ours = used[1] + used[2] + _children_s() - self._children
        return {
            "data_s": used[0],
            "tree_s": used[1],
            "machine_s": busy.all - self._busy.all - (busy.stolen - self._busy.stolen),
            "user": user / max(1, user + kernel),
            "busy": used[0] / took,
            "foreign": max(0.0, (busy.all - self._busy.all - ours) / took),
            "stolen": (busy.stolen - self._busy.stolen) / took,
            "load_cpu": (busy.load_cpu - self._busy.load_cpu) / took,
        }


def _children_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def wait_until_quiet(at_most_s: float = 5.0) -> None:
    """Returns when the machine has nothing else to do, or after so long."""
    end = time.monotonic() + at_most_s
    while time.monotonic() < end:
        before = Busy.now()
        time.sleep(0.3)
        after = Busy.now()
        if (after.all - before.all) / (after.at - before.at) < 0.15:
            return
