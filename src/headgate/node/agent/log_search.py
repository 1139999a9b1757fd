"""Searches the access log and the events of a node, within bounds: bytes, time, lines."""

import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from headgate.fleet.searches import MOST_LINES, MOST_TEXT_BYTES, LogLine, LogLines, LogSearch
from headgate.kernel.redaction import Hidden
from headgate.node.agent.log_lines import read, shortened, wanted
from headgate.node.events import Event

MOST_READ: Final = 32 << 20
MOST_S: Final = 3.0
CHUNK: Final = 256 << 10
LONGEST: Final = 1 << 20
"""A line that is longer is left out."""
_LATE_MS: Final = 600_000
"""A line has the time of its request's head, and is written when the request has ended: so much
later, at most, for what a search with a time looks at."""


@dataclass
class Bounds:
    """The results of a search and the bounds on its cost; `why` says which bound ended it."""

    search: LogSearch
    clock: Callable[[], float]
    found: list[LogLine] = field(default_factory=list)
    read_bytes: int = 0
    why: str = ""
    _text_bytes: int = 0

    def __post_init__(self) -> None:
        self._ends = self.clock() + MOST_S
        self._lines = min(max(self.search.limit, 1), MOST_LINES)

    def add(self, line: LogLine) -> None:
        """Takes a line, unless it is one too many."""
        size = len(line.text.encode(errors="replace"))
        if len(self.found) >= self._lines:
            self.why = f"more than {self._lines} lines"
        elif self._text_bytes + size > MOST_TEXT_BYTES:
            self.why = f"more than {MOST_TEXT_BYTES >> 10} KiB of lines"
        else:
            self.found.append(line)
            self._text_bytes += size

    def is_over(self) -> bool:
        """Says whether the search must end now."""
        if not self.why and self.read_bytes >= MOST_READ:
            self.why = f"{MOST_READ >> 20} MiB of the log were read"
        if not self.why and self.clock() >= self._ends:
            self.why = f"{MOST_S:g} s passed"
        return bool(self.why)

    def answer(self, error: str = "") -> LogLines:
        """Returns what was found, the newest first."""
        lines = tuple(sorted(self.found, key=lambda line: -line.at_ms))
        return LogLines(self.search.number, lines, True, self.why, error, self.read_bytes)


def search_log(
    path: Path,
    search: LogSearch,
    hidden: Hidden,
    clock: Callable[[], float] = time.monotonic,
) -> LogLines:
    """Returns the lines of a log and of the file before it (`.1`) that a search wants, the newest
    first; says why it could not read, or did not read all. Blocks."""
    bounds = Bounds(search, clock)
    for file in (path, path.with_name(f"{path.name}.1")):
        try:
            with _opened(file) as log:
                is_done = _search_file(log, bounds, hidden)
        except FileNotFoundError:
            if file is path:
                return bounds.answer(f"there is no {path} yet")
            break
        except OSError as error:
            return bounds.answer(f"{file} cannot be read: {error.strerror or error}")
        if is_done:
            break
    return bounds.answer()


def _opened(file: Path) -> BinaryIO:
    """Opens a file that is no pipe or device: those have no end to begin at, or wait for others."""
    number = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    log = os.fdopen(number, "rb")
    if not stat.S_ISREG(os.fstat(number).st_mode):
        log.close()
        raise OSError(0, "it is not a regular file")
    return log


def _search_file(log: BinaryIO, bounds: Bounds, hidden: Hidden) -> bool:
    """Adds what a file has; returns whether nothing older is to be looked at."""
    search = bounds.search
    for line in backwards(log, bounds):
        said = read(line)
        if said is not None and said.at_ms < search.since_ms - _LATE_MS:
            return True
        if said is not None and (line_shown := wanted(search, said, line, hidden)):
            bounds.add(line_shown)
        if bounds.is_over():
            return True
    return bounds.is_over()


def backwards(log: BinaryIO, bounds: Bounds) -> Iterator[str]:
    """Yields the lines of a file, the last one first; ends early at a bound, and leaves out lines
    that are too long."""
    at = log.seek(0, os.SEEK_END)
    ends: list[bytes] = []  # of the line whose beginning is not read yet, the last part first
    while at > 0 and not bounds.is_over():
        size = min(CHUNK, at)
        at -= size
        log.seek(at)
        first, *lines = log.read(size).split(b"\n")
        bounds.read_bytes += size
        if lines:
            yield from _line([lines.pop(), *reversed(ends)])
            for raw in reversed(lines):
                yield from _line([raw])
            ends = []
        # Of a line that is too long no more is kept than shows that it is.
        if sum(map(len, ends)) <= LONGEST:
            ends.append(first)
    if at == 0:
        yield from _line(list(reversed(ends)))


def _line(parts: list[bytes]) -> Iterator[str]:
    raw = b"".join(parts)
    if 0 < len(raw) <= LONGEST:
        yield raw.decode(errors="replace")


def search_events(
    kept: Iterable[bytes],
    search: LogSearch,
    hidden: Hidden,
    clock: Callable[[], float] = time.monotonic,
) -> LogLines:
    """Returns the events of a node that a search wants, the newest first; `kept` are the oldest
    first, as JSON. Only the time and the text count."""
    bounds = Bounds(search, clock)
    for raw in reversed(list(kept)):
        if bounds.is_over():
            break
        with suppress(ValueError):
            event = msgspec.json.decode(raw, type=Event)
            line = f"{event.level} {event.kind}: {hidden.line(event.message)}"
            if event.unix_ms >= search.since_ms and search.text.lower() in line.lower():
                bounds.add(LogLine(event.unix_ms, shortened(line)))
    return bounds.answer()
