"""Keeps the last few events of this node, and passes new ones on to followers."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, NamedTuple

import msgspec

KEPT: Final = 256
_QUEUED: Final = 256  # per listener; one that does not read loses the oldest
LOST: Final = "events.lost"
"""The kind of the event that stands where others are missing."""


class Event(msgspec.Struct, frozen=True):
    """One event. `level`: info, warn or error; `kind`: a dotted word such as `config.applied`.

    `seq` rises from event to event, also over restarts of the control process.
    """

    seq: int
    unix_ms: int
    level: str
    kind: str
    message: str
    fields: dict[str, str | int | float | bool | list[str]] = {}


class Line(NamedTuple):
    """An event as JSON, and its number."""

    seq: int
    json: bytes


def _line(event: Event) -> Line:
    return Line(event.seq, msgspec.json.encode(event))


class EventLog:
    """A bounded record of events; use it in the loop's thread alone."""

    def __init__(self) -> None:
        # No process has so many events that the next one begins below them.
        self._last = time.time_ns() // 1_000
        self._first = self._last + 1
        self._kept: deque[Line] = deque(maxlen=KEPT)
        self._listeners: set[asyncio.Queue[Line]] = set()

    def add(
        self,
        level: str,
        kind: str,
        message: str,
        **fields: str | int | float | bool | list[str],
    ) -> None:
        """Records an event now."""
        self._last += 1
        now_ms = time.time_ns() // 1_000_000
        line = _line(Event(self._last, now_ms, level, kind, message, fields))
        self._kept.append(line)
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(line)

    def kept(self, after: int = 0) -> list[Line]:
        """Returns the last events with a number above `after`, oldest first.

        If `after` is not 0, an event of the kind `events.lost` comes first where the one that
        followed it is gone. A number that no event had yet counts as 0.
        """
        if after > self._last:
            after = 0
        found = [line for line in self._kept if line.seq > after]
        oldest = found[0].seq if found else self._last + 1
        return [*self._missing(after, oldest), *found]

    async def follow(self, after: int = 0) -> AsyncIterator[Line]:
        """Yields what `kept` returns, then each new event; never ends by itself.

        Where this listener was too slow, an event of the kind `events.lost` says so.
        """
        queue: asyncio.Queue[Line] = asyncio.Queue(_QUEUED)
        self._listeners.add(queue)
        try:
            before = self._last
            for line in self.kept(after):
                yield line
            while True:
                line = await queue.get()
                for missing in self._missing(before, line.seq):
                    yield missing
                yield line
                before = line.seq
        finally:
            self._listeners.discard(queue)

    def _missing(self, before: int, oldest: int) -> list[Line]:
        """Returns an event that says what is missing between two numbers, if anything is."""
        if before == 0 or oldest <= before + 1:
            return []
        if before + 1 < self._first:
            message = "events of an earlier control process are not kept"
        else:
            message = f"{oldest - before - 1} events before this one are not kept any more"
        now_ms = time.time_ns() // 1_000_000
        return [_line(Event(oldest - 1, now_ms, "warn", LOST, message))]
