"""Counts, on disk, the starts of an agent's control process that did not last: one that dies at
each start could tell its master nothing of that otherwise."""

from pathlib import Path
from typing import Final

from headgate.providers.master.store import write_private

STEADY_S: Final = 60.0
"""A process that lives so long, or ends because it was told to, did not fail to start."""
_FILE: Final = "starts"
_MOST: Final = 1_000_000


class Starts:
    """The starts of one agent's control process, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self.failed = 0
        """The number of starts in a row before this one that did not last."""

    def begun(self) -> None:
        """Counts a start, as early as possible; a disk that takes nothing counts none."""
        self.failed = self._read()
        self._write(min(self.failed + 1, _MOST))

    def lasted(self) -> None:
        """This start has not failed."""
        self.failed = 0
        self._write(0)

    def _read(self) -> int:
        try:
            return max(0, min(int(self._path.read_bytes()[:16]), _MOST))
        except (OSError, ValueError):
            return 0

    def _write(self, count: int) -> None:
        try:
            if count:
                write_private(self._path, b"%d\n" % count)
            else:
                self._path.unlink(missing_ok=True)
        except OSError:
            return
