"""Reads what an nginx master logged since a mark, through rotation. It never waits, never guesses.

The file is held open from the mark on: after a rename, lines are read to the end of the old file
and from the start of the new one. The old one stays open beside the new one: the log rotation may
have made the new one, and the master writes to the old one until it reopens its logs. Where lines
may be lost (absent at the mark, cut, unreadable), the log is unknown.
"""

import os
import re
from collections.abc import Iterator
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
        """Returns the mark for the journal.

        >>> LogMark.parse(LogMark(7, 100).text())
        LogMark(inode=7, offset=100)
        """
        return f"{self.inode}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "LogMark | None":
        """Parses what `text` wrote; None for anything else."""
        inode, _, offset = text.partition(":")
        return cls(int(inode), int(offset)) if inode.isdigit() and offset.isdigit() else None


class _File:
    """A file that has or had the log's name, held open and read up to `offset`."""

    def __init__(self, path: str, *, at_end: bool) -> None:
        """Raises OSError."""
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        about = os.fstat(self._fd)
        self.inode = about.st_ino
        self.offset = about.st_size if at_end else 0
        self.was_cut = False
        self._rest = b""

    def close(self) -> None:
        os.close(self._fd)

    def lines(self) -> Iterator[bytes]:
        """Yields lines that are now whole, each once. Raises OSError."""
        if os.fstat(self._fd).st_size < self.offset:
            self.was_cut, self.offset, self._rest = True, 0, b""
        end = self.offset + _MOST_BYTES
        while self.offset < end and (part := os.pread(self._fd, 65536, self.offset)):
            self.offset += len(part)
            *whole, self._rest = (self._rest + part).split(b"\n")
            yield from whole


class ErrorLog:
    """A log from a mark on."""

    def __init__(self, path: str, mark: LogMark | None = None) -> None:
        """Marks where the log is now, or takes up an older mark (of the node before a crash)."""
        self._path = path
        self._why = ""
        self._lines: list[str] = []
        self._before: _File | None = None
        self._now: _File | None = None
        try:
            self._now = _File(path, at_end=mark is None)
        except OSError as error:
            self._why = f"{path}: {error.strerror}"
            return
        if mark is not None:
            if mark.inode == self._now.inode:
                self._now.offset = mark.offset
            else:
                self._why = "it was rotated while headgate did not read it"

    @property
    def mark(self) -> LogMark:
        """The position up to which it has been read."""
        return LogMark(0, 0) if self._now is None else LogMark(self._now.inode, self._now.offset)

    def close(self) -> None:
        """Closes the files."""
        for file in (self._before, self._now):
            if file is not None:
                file.close()
        self._before = self._now = None

    def read(self, master: int | None) -> LogSeen:
        """Returns what this master (None: any process) logged of the reload since the mark."""
        self._drain(self._before)
        self._drain(self._now)
        gone = self._follow()
        found = tuple(line for text in self._lines if (line := _judge(text, master)) is not None)
        why = self._why or gone
        return LogSeen(found, not why, why)

    def _drain(self, file: _File | None) -> None:
        if file is None:
            return
        try:
            for line in file.lines():
                if b"[emerg]" in line or b"[alert]" in line:
                    self._lines.append(line.decode(errors="replace"))
        except OSError as error:
            self._why = f"{self._path}: {error.strerror}"
        if file.was_cut:
            self._why = "it was cut"

    def _follow(self) -> str:
        """Continues with the file that has the name now, once it is another one.

        Between the removal of a log and the master's opening of the next it is unknown: then this
        returns why.
        """
        try:
            inode = Path(self._path).stat().st_ino
            if self._now is not None and inode == self._now.inode:
                return ""
            fresh = _File(self._path, at_end=False)
        except FileNotFoundError:
            return f"{self._path} was removed"
        except OSError as error:
            return f"{self._path}: {error.strerror}"
        if self._before is not None:
            self._drain(self._before)
            self._before.close()
        self._before, self._now = self._now, fresh
        self._drain(self._before)  # up to the moment that the new one was there
        self._drain(self._now)
        return ""


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
