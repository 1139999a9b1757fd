"""Searches of nodes' logs, as types. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

LOGS: Final = "logs"
"""The word of `Hello.orders` for agents that search their logs."""
MOST_LINES: Final = 1_000
MOST_TEXT_BYTES: Final = 256 << 10
"""The text of all lines of an answer."""
PART_BYTES: Final = 64 << 10
"""The text of one part of an answer, but for its last line."""


@dataclass(frozen=True, slots=True)
class LogSearch:
    """A search of a node's logs, the newest lines first; what is empty or 0 leaves nothing out.
    `source`: `access` or `events`; `status`: `404` or `5xx`; `path`: what a target begins with."""

    number: int
    since_ms: int = 0
    status: str = ""
    host: str = ""
    path: str = ""
    text: str = ""
    limit: int = 100
    source: str = "access"


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line as it was written, without what looks like a secret."""

    at_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class LogLines:
    """A part of an answer. `cut`: why the search ended early, empty: it saw all there is; `error`:
    why nothing could be searched."""

    number: int
    lines: tuple[LogLine, ...] = ()
    is_last: bool = True
    cut: str = ""
    error: str = ""
    read_bytes: int = 0


def parts(answer: LogLines) -> Iterator[LogLines]:
    """Yields an answer in parts that fit into a frame each; the last one says how it ended."""
    part: list[LogLine] = []
    size = 0
    for line in answer.lines:
        if size >= PART_BYTES:
            yield LogLines(answer.number, tuple(part), is_last=False)
            part, size = [], 0
        part.append(line)
        size += len(line.text.encode(errors="replace"))
    ended = (answer.cut, answer.error, answer.read_bytes)
    yield LogLines(answer.number, tuple(part), True, *ended)


def whole(answers: Sequence[LogLines]) -> LogLines:
    """Returns one answer of its parts."""
    last = answers[-1]
    lines = tuple(line for one in answers for line in one.lines)
    return LogLines(last.number, lines, True, last.cut, last.error, last.read_bytes)
