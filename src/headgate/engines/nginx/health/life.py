"""Derives starts, ends and restarts of an nginx from the masters that were seen. No I/O."""

from typing import NamedTuple

from headgate.engines.nginx.common.types import Process


class News(NamedTuple):
    """A report: a level (error, warn, info), a dotted kind, a message."""

    level: str
    kind: str
    message: str


class Life:
    """The masters of one nginx, one after the other; `restarts` counts foreign ones."""

    def __init__(self, master: Process | None) -> None:
        self.is_up = master is not None
        self.restarts = 0
        self._last = _identity(master)
        self._upgraded_from: tuple[int, int] | None = None

    def ours(self, master: Process | None) -> None:
        """Records that we started this one."""
        self.is_up = master is not None
        self._last = _identity(master) or self._last

    def saw(self, master: Process | None, *, is_upgrading: bool = False) -> list[News]:
        """Returns the news; `is_upgrading`: two masters run, of which this is the new one."""
        was_up, self.is_up = self.is_up, master is not None
        found, last = _identity(master), self._last
        if found is None:
            return [News("error", "nginx.down", "nginx is gone")] if was_up else []
        self._last = found
        if last is None or found == last:
            return [] if was_up else [News("info", "nginx.up", f"nginx runs, pid {found[0]}")]
        if is_upgrading:
            self._upgraded_from = last
            message = f"master {found[0]} takes over from {last[0]}: a binary upgrade"
            return [News("info", "nginx.upgrading", message)]
        if found == self._upgraded_from:
            message = f"master {found[0]} serves again: the binary upgrade was undone"
            return [News("warn", "nginx.upgrading", message)]
        self.restarts += 1
        message = f"nginx was restarted by others: master {found[0]} instead of {last[0]}"
        return [News("warn", "nginx.restarted_by_others", message)]


def _identity(master: Process | None) -> tuple[int, int] | None:
    return None if master is None else (master.pid, master.started)
