"""Counts the workers that this process may keep busy, by affinity and the cgroup's CPU quota."""

from __future__ import annotations

import os

MAX_WORKERS = 128  # one SO_REUSEPORT socket each; a packet carries at most 200 descriptors


def allowed_cpus() -> list[int]:
    """Returns the CPUs this process may run on, in order."""
    return sorted(os.sched_getaffinity(0))


def quota(cgroup_file: str = "/proc/self/cgroup", root: str = "/sys/fs/cgroup") -> float | None:
    """Returns how many CPUs' time the cgroup (v2) and its parents allow; None = no limit."""
    try:
        with open(cgroup_file) as file:
            paths = [line.rstrip("\n")[3:] for line in file if line.startswith("0::")]
    except OSError:
        return None
    path = paths[0] if paths else "/"
    least: float | None = None
    while True:
        limit = _read_quota(f"{root}{path.rstrip('/')}/cpu.max")
        if limit is not None and (least is None or limit < least):
            least = limit
        if path in {"/", ""}:
            return least
        path = path.rpartition("/")[0] or "/"


def _read_quota(path: str) -> float | None:
    try:
        with open(path) as file:
            limit, _, period = file.read().partition(" ")
        return None if limit == "max" else int(limit) / int(period or 100_000)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def worker_count(cpus: int, limit: float | None) -> int:
    """Returns how many workers fit: one per CPU in the quota (`limit` CPUs' time); at least 1.

    >>> worker_count(8, 2.5), worker_count(8, None), worker_count(8, 0.1)
    (3, 8, 1)
    """
    fitting = cpus if limit is None else min(cpus, -int(-limit // 1))
    return max(1, min(fitting, MAX_WORKERS))
