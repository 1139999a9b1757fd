"""Reads an nginx's processes from /proc:
age, memory, CPU, and whether a worker is shutting down.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.engines.nginx.common.types import Process

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One process; `age_s` since it was started, `cpu_s` user and system."""

    process: Process
    age_s: float
    cpu_s: float
    resident_bytes: int
    open_files: int | None
    """None where we may not look."""


@dataclass(frozen=True, slots=True)
class InstanceFigures:
    """A master and its workers; a generation is a set of workers born together."""

    master: ProcessFigures | None
    workers: tuple[ProcessFigures, ...]

    @property
    def draining(self) -> tuple[ProcessFigures, ...]:
        """Workers that only wait for their connections to end."""
        return tuple(one for one in self.workers if one.process.shutting_down)

    @property
    def draining_generations(self) -> int:
        """Reloads whose old workers still live; workers of one start within a second."""
        ages = sorted(one.age_s for one in self.draining)
        return sum(index == 0 or age - ages[index - 1] > 1.0 for index, age in enumerate(ages))

    @property
    def resident_bytes(self) -> int:
        """The memory of all processes; shared pages count in each."""
        every = (*self.workers, *((self.master,) if self.master else ()))
        return sum(one.resident_bytes for one in every)


class DrainTimes:
    """Remembers since when workers drain, which /proc does not say: since we first saw it."""

    def __init__(self) -> None:
        self._since: dict[tuple[int, int], float] = {}

    def oldest_s(self, now: InstanceFigures, now_s: float) -> float:
        """Returns how long the longest-draining worker has drained,
        at `now_s` (monotonic); 0 without.
        """
        keys = {(one.process.pid, one.process.started) for one in now.draining}
        self._since = {key: self._since.get(key, now_s) for key in keys}
        return max((now_s - since for since in self._since.values()), default=0.0)


def figures(master: Process | None, workers: Iterable[Process]) -> InstanceFigures:
    """Returns the figures of these; leaves out a process that is gone by then."""
    return InstanceFigures(
        _figures(master) if master is not None else None,
        tuple(found for one in workers if (found := _figures(one)) is not None),
    )


def _figures(process: Process) -> ProcessFigures | None:
    folder = _PROC / str(process.pid)
    try:
        stat = (folder / "stat").read_text()
        uptime_s = float((_PROC / "uptime").read_text().split()[0])
    except OSError:
        return None
    # The name may hold anything, also parentheses and spaces: fields count after it.
    fields = stat[stat.rindex(")") + 2 :].split()
    started = int(fields[19])
    if started != process.started:
        return None
    try:
        open_files: int | None = sum(1 for _ in (folder / "fd").iterdir())
    except OSError:
        open_files = None
    return ProcessFigures(
        process=process,
        age_s=max(0.0, uptime_s - started / _TICKS),
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
        resident_bytes=int(fields[21]) * _PAGE,
        open_files=open_files,
    )
