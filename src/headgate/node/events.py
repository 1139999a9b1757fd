"""Keeps the last few events of this node, and passes new ones on to followers."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator

import msgspec

KEPT = 256
_QUEUED = 256  # per listener; one that does not read loses the oldest


class Event(msgspec.Struct, frozen=True):
    """One event. `level`: info, warn or error; `kind`: a dotted word such as `config.applied`."""

    unix_ms: int
    level: str
    kind: str
    message: str
    fields: dict[str, str | int | float | bool | list[str]] = {}


class EventLog:
    """A bounded record of events; use it in the loop's thread alone."""

    def __init__(self) -> None:
        self._kept: deque[bytes] = deque(maxlen=KEPT)
        self._listeners: set[asyncio.Queue[bytes]] = set()

    def add(
        self,
        level: str,
        kind: str,
        message: str,
        **fields: str | int | float | bool | list[str],
    ) -> None:
        """Records an event now."""
        event = Event(time.time_ns() // 1_000_000, level, kind, message, fields)
        line = msgspec.json.encode(event)
        self._kept.append(line)
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(line)

    def kept(self) -> list[bytes]:
        """Returns the last events, oldest first, each a JSON object."""
        return list(self._kept)

    async def follow(self) -> AsyncIterator[bytes]:
        """Yields the kept events, then each new one; never ends by itself."""
        queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED)
        self._listeners.add(queue)
        try:
            for line in self.kept():
                yield line
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)
