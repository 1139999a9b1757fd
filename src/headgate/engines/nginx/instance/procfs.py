"""Reads from /proc about processes; returns None for what is gone by then."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.engines.nginx.common.types import Process

_MASTER: Final = "nginx: master process"
_WORKER: Final = "nginx: worker process"
_LEAVING: Final = "nginx: worker process is shutting down"
_FLAGS, _STARTED = 6, 19
"""`flags` and `starttime`: fields 9 and 22 of stat, counted from after the closing parenthesis."""

_FORKED: Final = 0x40
"""PF_FORKNOEXEC: a copy of its parent that has not executed a program since."""


@dataclass(frozen=True, slots=True)
class Rights:
    """The identity of a process to the file system: effective uid, gid and further groups."""

    uid: int
    gid: int
    groups: frozenset[int]


@dataclass(frozen=True, slots=True)
class Seen:
    """A process at the time of the look: `title` is its command line, joined by spaces.

    `is_copy`: it was forked and has not executed a program since (a daemon is a copy too).
    `is_stopped`: by a signal or a debugger, until something continues it.
    """

    pid: int
    parent: int
    started: int
    is_copy: bool
    title: str
    is_stopped: bool = False

    @property
    def is_master(self) -> bool:
        """True if it calls itself an nginx master."""
        return self.title.startswith(_MASTER)

    @property
    def is_worker(self) -> bool:
        """True if it calls itself an nginx worker (not a cache manager or loader)."""
        return self.title.startswith(_WORKER)

    @property
    def process(self) -> Process:
        """Its identity."""
        return Process(self.pid, self.started, self.title.startswith(_LEAVING))

    def config(self) -> str | None:
        """Returns the path after `-c` in a master's title; None where there is none.

        nginx puts its own arguments into its title, without quotes.
        """
        found = re.search(r"\s-c\s*(\S+)", self.title.removeprefix(_MASTER))
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Procfs:
    """A mounted procfs."""

    path: Path = Path("/proc")

    def look(self, pid: int) -> Seen | None:
        """Returns the process of that pid; None without one, and for a zombie."""
        try:
            stat = (self.path / str(pid) / "stat").read_text(errors="replace")
            title = (self.path / str(pid) / "cmdline").read_bytes()
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        if fields[0] in {"Z", "X"}:
            return None
        text = title.replace(b"\0", b" ").decode(errors="replace").strip()
        is_copy = bool(int(fields[_FLAGS]) & _FORKED)
        is_stopped = fields[0] in {"T", "t"}
        return Seen(pid, int(fields[1]), int(fields[_STARTED]), is_copy, text, is_stopped)

    def all(self) -> Iterator[Seen]:
        """Yields every process that we can see."""
        for name in os.listdir(self.path):  # noqa: PTH208 - names, thousands of them
            if name.isdigit() and (seen := self.look(int(name))) is not None:
                yield seen

    def masters(self) -> tuple[Seen, ...]:
        """Returns every nginx master, oldest first.

        A copy of a master does not count: a worker has its master's title until it sets its own.
        """
        found = {seen.pid: seen for seen in self.all() if seen.is_master}
        real = [seen for seen in found.values() if not (seen.is_copy and seen.parent in found)]
        return tuple(sorted(real, key=lambda seen: seen.started))

    def children(self, pid: int) -> tuple[Seen, ...]:
        """Returns the children of a process."""
        try:
            threads = os.listdir(self.path / str(pid) / "task")  # noqa: PTH208
            pids = [
                int(child)
                for thread in threads
                for child in (self.path / str(pid) / "task" / thread / "children")
                .read_text()
                .split()
            ]
        except FileNotFoundError:
            # A kernel without CONFIG_PROC_CHILDREN, or the process ended.
            return tuple(seen for seen in self.all() if seen.parent == pid)
        found = (self.look(child) for child in pids)
        return tuple(seen for seen in found if seen is not None)

    def is_same(self, process: Process) -> bool:
        """Reports whether this very process still runs, not another one of its pid."""
        seen = self.look(process.pid)
        return seen is not None and seen.started == process.started

    def rights(self, pid: int) -> Rights | None:
        """Returns who the process is to the file system; None when it is gone."""
        try:
            status = (self.path / str(pid) / "status").read_text(errors="replace")
        except OSError:
            return None
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        groups = frozenset(int(group) for group in fields.get("Groups", "").split())
        # File access uses the fourth number of each.
        return Rights(int(fields["Uid"].split()[3]), int(fields["Gid"].split()[3]), groups)

    def root(self, pid: int) -> Path:
        """Returns the root directory as the process sees it, as a path of ours."""
        return self.path / str(pid) / "root"

    def executable(self, pid: int) -> Path:
        """Returns the file it runs, readable even if replaced or removed on disk."""
        return self.path / str(pid) / "exe"

    def hides_others(self) -> bool:
        """Reports whether this procfs shows us only our own processes (`hidepid`, proc(5))."""
        try:
            lines = (self.path / "self" / "mounts").read_text().splitlines()
        except OSError:
            return False
        mine = [line.split(" ") for line in lines if line.split(" ")[1:2] == [str(self.path)]]
        options = mine[-1][3].split(",") if mine else []
        return any(
            option.startswith("hidepid=") and option not in {"hidepid=0", "hidepid=off"}
            for option in options
        )


def boot_time() -> float:
    """Returns the time of the boot in seconds since the epoch (`btime`, proc_stat(5)).

    Raises OSError, or ValueError where there is none.
    """
    lines = Path("/proc/stat").read_text().splitlines()
    for line in lines:
        if line.startswith("btime "):
            return float(line.split()[1])
    raise ValueError("/proc/stat has no btime")


def started_at(process: Process | None) -> float:
    """Returns when a process was started, in seconds since the epoch; 0 = not known."""
    if process is None:
        return 0.0
    try:
        return round(boot_time() + process.started / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError):
        return 0.0
