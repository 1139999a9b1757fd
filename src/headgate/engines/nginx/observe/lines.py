"""Cuts a growing file into whole lines: what to read next, and what its bytes mean. Pure.

One `LineTail` belongs to one file; the reader notices when another file takes its name (`tail.py`).
"""

from dataclasses import dataclass
from typing import Final

BACKLOG_BYTES: Final = 32 * 1024 * 1024
"""The number of bytes that a tail may be behind before it skips what lies between."""

CHUNK_BYTES: Final = 1024 * 1024
"""The most it reads at once."""

LINE_BYTES: Final = 1024 * 1024
"""A longer line is skipped."""

_CHECKED_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file to read: `length` from `offset` on."""

    offset: int
    length: int


@dataclass(slots=True)
class Losses:
    """The data that a tail could not return since it began.

    `skipped_bytes` were skipped because the tail was too far behind or a line too long; `skips`
    counts how often; `truncations` how often the file was truncated or rewritten.
    """

    skipped_bytes: int = 0
    skips: int = 0
    truncations: int = 0


class LineTail:
    r"""Turns a file that grows into blocks of whole lines.

    Ask `want(size)` with the file's size now, read that span, give it to `take`; again until `want`
    says None. It keeps a last line back until its line feed comes.

    >>> tail = LineTail()
    >>> tail.want(9)
    Span(offset=0, length=9)
    >>> tail.take(b"one\ntwo\nt")
    b'one\ntwo\n'
    >>> tail.want(9) is None, tail.offset
    (True, 8)
    """

    def __init__(
        self,
        offset: int = 0,
        *,
        backlog_bytes: int = BACKLOG_BYTES,
        chunk_bytes: int = CHUNK_BYTES,
        line_bytes: int = LINE_BYTES,
    ) -> None:
        """Begins at `offset`, the first byte of a line."""
        self.losses = Losses()
        self._next = offset
        self._partial = b""
        self._checked = b""
        self._pending = 0
        self._is_in_rest = False
        self._backlog_bytes = backlog_bytes
        self._chunk_bytes = chunk_bytes
        self._line_bytes = line_bytes

    @property
    def offset(self) -> int:
        """The offset of the first byte not yet returned:
        a tail that begins there misses nothing.
        """
        return self._next - len(self._partial)

    def want(self, size: int) -> Span | None:
        """Returns what to read of a file of `size` bytes; None while there is nothing new.

        The span may begin a few bytes early: if these differ from what it read before, the file was
        truncated and has grown past the old place.
        """
        if size < self._next:
            self._restart()
        if size - self._next > self._backlog_bytes:
            self._jump(size - self._chunk_bytes)
        length = min(size - self._next, self._chunk_bytes)
        if length <= 0:
            return None
        self._pending = length
        return Span(self._next - len(self._checked), length + len(self._checked))

    def take(self, data: bytes) -> bytes:
        """Returns the whole lines in the bytes of the span asked
        for last; fewer bytes are allowed.

        Empty when no line has ended, or when the bytes show that the file was rewritten.
        """
        checked = len(self._checked)
        if data[:checked] != self._checked:
            self._restart()
            return b""
        new = data[checked : checked + self._pending]
        self._pending = 0
        self._next += len(new)
        self._checked = (self._checked + new)[-_CHECKED_BYTES:]
        return self._whole(self._after_rest(new))

    def drop_partial(self) -> None:
        """Drops the line without an end: nobody will write to this file any more."""
        if self._partial:
            self._lost(len(self._partial))
            self._partial = b""

    def _whole(self, new: bytes) -> bytes:
        end = new.rfind(b"\n") + 1
        if not end:
            self._partial += new
            if len(self._partial) > self._line_bytes:
                self._lost(len(self._partial))
                self._partial = b""
                self._is_in_rest = True
            return b""
        lines = self._partial + new[:end]
        self._partial = new[end:]
        return lines

    def _after_rest(self, new: bytes) -> bytes:
        """Returns the bytes after the rest of a line whose beginning was skipped."""
        if not self._is_in_rest:
            return new
        end = new.find(b"\n") + 1
        if not end:
            self.losses.skipped_bytes += len(new)
            return b""
        self._is_in_rest = False
        self.losses.skipped_bytes += end
        return new[end:]

    def _jump(self, offset: int) -> None:
        self._lost(offset - self.offset)
        self._next = offset
        self._partial = b""
        self._checked = b""
        self._is_in_rest = True

    def _restart(self) -> None:
        self.losses.truncations += 1
        self._next = 0
        self._partial = b""
        self._checked = b""
        self._pending = 0
        self._is_in_rest = False

    def _lost(self, count: int) -> None:
        self.losses.skips += 1
        self.losses.skipped_bytes += count
