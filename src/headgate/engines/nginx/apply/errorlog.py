"""Reads what an nginx master logged since a mark, through rotation. It never waits, never guesses.

The file is held open from the mark on: after a rename, lines are read to the end of the old file
and from the start of the new one. Where lines may have been lost (absent at the mark, cut,
unreadable), the log is unknown.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.engines.nginx.apply.evidence import LineKind, LogLine, LogSeen

_MOST_BYTES = 4 << 20
_LINE: Final = re.compile(r"[0-9/]{10} [0-9:]{8} \[(emerg|alert)\] ([0-9]+)#[0-9]+: (.*)")
_WORKER: Final = re.compile(r"worker process ([0-9]+) exited (on signal|with fatal code)")
_RETRY: Final = re.compile(r"bind\(\) to \S+ failed \((?:98|48):")


@dataclass(frozen=True, slots=True)
class LogMark:
    """A place in a log: a file by its inode, and how far it was written."""

    inode: int
    offset: int

    def text(self) -> str:
        """For the journal.

        >>> LogMark.parse(LogMark(7, 100).text())
        LogMark(inode=7, offset=100)
        """
        return f"{self.inode}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "LogMark | None":
        """The opposite; None for anything else."""
        inode, _, offset = text.partition(":")
        return cls(int(inode), int(offset)) if inode.isdigit() and offset.isdigit() else None


class ErrorLog:
    """A log from a mark on."""

    def __init__(self, path: str, mark: LogMark | None = None) -> None:
        """Marks where the log is now, or takes up an older mark (of the node before a crash)."""
        self._path = path
        self._why = ""
        self._gone = ""
        self._rest = b""
        self._lines: list[str] = []
        self._fd: int | None = None
        self._inode = self._offset = 0
        self._open(at_end=mark is None)
        if mark is not None and not self._why:
            if mark.inode == self._inode:
                self._offset = mark.offset
            else:
                self._why = "it was rotated while nobody looked"

    @property
    def mark(self) -> LogMark:
        """Where it was read up to."""
        return LogMark(self._inode, self._offset)

    def close(self) -> None:
        """Gives the file back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def read(self, master: int | None) -> LogSeen:
        """What this master (None: any process) logged of the reload since the mark."""
        self._drain()
        self._follow()
        found = tuple(line for text in self._lines if (line := _judge(text, master)) is not None)
        why = self._why or self._gone
        return LogSeen(found, not why, why)

    def _open(self, *, at_end: bool) -> None:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            about = os.fstat(self._fd)
        except OSError as error:
            self._why = f"{self._path}: {error.strerror}"
            return
        self._inode = about.st_ino
        self._offset = about.st_size if at_end else 0

    def _drain(self) -> None:
        if self._fd is None:
            return
        try:
            if os.fstat(self._fd).st_size < self._offset:
                self._why, self._offset = "it was cut", 0
            read = 0
            while read < _MOST_BYTES and (part := os.pread(self._fd, 65536, self._offset)):
                self._offset += len(part)
                read += len(part)
                self._take(part)
        except OSError as error:
            self._why = f"{self._path}: {error.strerror}"

    def _take(self, part: bytes) -> None:
        *whole, self._rest = (self._rest + part).split(b"\n")
        for line in whole:
            if b"[emerg]" in line or b"[alert]" in line:
                self._lines.append(line.decode(errors="replace"))

    def _follow(self) -> None:
        """Goes on in the file that has the name now, once it is another one.

        Between the removal of a log and the master's opening of the next it is unknown.
        """
        self._gone = ""
        try:
            inode = Path(self._path).stat().st_ino
        except OSError:
            self._gone = f"{self._path} was removed"
            return
        if inode == self._inode and self._fd is not None:
            return
        self.close()
        self._rest = b""
        self._open(at_end=False)
        self._drain()


def _judge(text: str, master: int | None) -> LogLine | None:
    found = _LINE.match(text)
    if found is None or (master is not None and int(found[2]) != master):
        return None
    if found[1] == "emerg":
        kind: LineKind = "bind_retry" if _RETRY.search(found[3]) else "emerg"
        return LogLine(kind, text)
    worker = _WORKER.search(found[3])
    if worker is None:
        return None
    kind = "killed" if worker[2] == "on signal" else "fatal_exit"
    return LogLine(kind, text, int(worker[1]))
