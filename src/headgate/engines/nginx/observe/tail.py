"""Reads a growing log file through renames, truncations and times without a file.

Never blocks longer than a read of a file, never waits for new lines, never writes.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from headgate.engines.nginx.observe.lines import (
    BACKLOG_BYTES,
    CHUNK_BYTES,
    LineTail,
    Losses,
)

_LOOKS_AFTER_RENAME: Final = 50
"""The number of looks at a renamed file that may bring nothing new before the reader closes it.

nginx continues to write to it until it reopens its logs (USR1), and a busy worker some time longer.
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a log: which file, and how far. `offset` is the first byte of a line."""

    device: int
    inode: int
    offset: int


def mark(path: str) -> Mark | None:
    """Returns the end of a log now, or None while there is none.
    Raises OSError for anything but a missing file.

    When the last line is not whole yet, what follows begins with its rest.
    """
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        return None
    return Mark(found.st_dev, found.st_ino, found.st_size)


@dataclass(slots=True)
class _File:
    """An open log file with its tail."""

    descriptor: int
    device: int
    inode: int
    tail: LineTail
    quiet_looks: int = 0

    def read(self) -> Iterator[bytes]:
        while (span := self.tail.want(os.fstat(self.descriptor).st_size)) is not None:
            data = os.pread(self.descriptor, span.length, span.offset)
            if not data:
                return
            self.quiet_looks = 0
            lines = self.tail.take(data)
            if lines:
                yield lines
        self.quiet_looks += 1

    def close(self) -> None:
        os.close(self.descriptor)


@dataclass(slots=True)
class TailReader:
    """Follows the file of one name.

    It begins at `start`: a mark, `"end"` (the next line to begin) or `"start"`. It reads a file
    that appears later from the first byte, even with a mark of another file; then `is_continuous`
    is false: it may have missed lines between.
    """

    path: str
    start: Mark | str = "end"
    backlog_bytes: int = BACKLOG_BYTES
    chunk_bytes: int = CHUNK_BYTES
    rotations: int = 0
    is_continuous: bool = True
    _is_begun: bool = False
    _current: _File | None = None
    _renamed: list[_File] = field(default_factory=list)
    _past: Losses = field(default_factory=Losses)

    def __post_init__(self) -> None:
        if isinstance(self.start, str) and self.start not in ("start", "end"):
            raise ValueError(f'{self.start!r} is neither "start" nor "end"')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> Iterator[bytes]:
        """Yields everything written since the last time, as blocks of whole lines,
        oldest file first.

        Raises OSError for an unreadable file, not for a missing one.
        """
        self._look()
        for old in list(self._renamed):
            yield from old.read()
            if old.quiet_looks > _LOOKS_AFTER_RENAME:
                self._give_up(old)
        if self._current is not None:
            yield from self._current.read()

    @property
    def losses(self) -> Losses:
        """The data that it could not return, in all files so far."""
        tails = [self._past, *(one.tail.losses for one in self._files())]
        return Losses(
            skipped_bytes=sum(one.skipped_bytes for one in tails),
            skips=sum(one.skips for one in tails),
            truncations=sum(one.truncations for one in tails),
        )

    @property
    def position(self) -> Mark | None:
        """Returns where a later reader would miss nothing; None while there is no file."""
        one = self._current
        return None if one is None else Mark(one.device, one.inode, one.tail.offset)

    def close(self) -> None:
        """Closes open files; a later read begins anew."""
        for one in self._files():
            one.close()
        self._renamed.clear()
        self._current = None

    def _files(self) -> list[_File]:
        return [*self._renamed, *([self._current] if self._current else [])]

    def _look(self) -> None:
        """Opens the file if another has its name now."""
        is_first, self._is_begun = not self._is_begun, True
        try:
            found = Path(self.path).stat()
        except FileNotFoundError:
            self._current_is_renamed()
            if is_first and isinstance(self.start, Mark):
                self.is_continuous = False
            return
        known = self._current
        if known is not None and (known.device, known.inode) == (found.st_dev, found.st_ino):
            return
        descriptor = _opened(self.path, found)
        found = os.fstat(descriptor)
        self._current_is_renamed()
        offset = self._first_offset(descriptor, found) if is_first else 0
        tail = LineTail(offset, backlog_bytes=self.backlog_bytes, chunk_bytes=self.chunk_bytes)
        self._current = _File(descriptor, found.st_dev, found.st_ino, tail)

    def _first_offset(self, descriptor: int, found: os.stat_result) -> int:
        if isinstance(self.start, Mark):
            is_same = (self.start.device, self.start.inode) == (found.st_dev, found.st_ino)
            self.is_continuous = is_same and self.start.offset <= found.st_size
            return self.start.offset if self.is_continuous else 0
        return _line_start(descriptor, found.st_size) if self.start == "end" else 0

    def _current_is_renamed(self) -> None:
        if self._current is not None:
            self.rotations += 1
            self._current.quiet_looks = 0
            self._renamed.append(self._current)
            self._current = None

    def _give_up(self, old: _File) -> None:
        old.tail.drop_partial()
        self._past.skipped_bytes += old.tail.losses.skipped_bytes
        self._past.skips += old.tail.losses.skips
        self._past.truncations += old.tail.losses.truncations
        self._renamed.remove(old)
        old.close()


def _opened(path: str, found: os.stat_result) -> int:
    """Returns the file, for reading. A pipe is left alone: its reader would miss what we took."""
    if not stat.S_ISREG(found.st_mode):
        raise OSError(
            errno.EINVAL, "it is not a regular file, so its lines cannot be followed", path
        )
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _line_start(descriptor: int, size: int) -> int:
    """Returns where an unfinished last line begins, else `size`."""
    begin = max(0, size - CHUNK_BYTES)
    end = os.pread(descriptor, size - begin, begin)
    newline = end.rfind(b"\n")
    return begin + newline + 1 if newline >= 0 or begin == 0 else size
