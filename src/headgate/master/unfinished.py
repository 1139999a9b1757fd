"""Finds connections whose client asks nothing, or does not finish what it asks, for so long that
they only take the places of others. Never closes one.

uvicorn has no limit on that time: its timer runs between an answer and the next byte alone.
WebSockets and answers that were begun are not looked at: who has them was let in.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from headgate.master.socket_counts import Counts, counts_of

HEAD_S: Final = 15.0
"""The time from the begin of a connection, or the last answer, to the end of a request's head."""
BODY_S: Final = 30.0
"""The time in which at least `BODY_BYTES` of a body, or its end, must come."""
BODY_BYTES: Final = 4 << 10


class _Waits(NamedTuple):
    """The thing that the master waits for, and the time when it began to."""

    cycle: RequestResponseCycle | None
    """The last request."""
    is_body: bool
    received: int
    at_s: float


class Unfinished:
    """Knows for how long the master waits for each client of one server."""

    def __init__(self) -> None:
        self._waits: dict[H11Protocol, _Waits] = {}

    def overdue(self, connections: Iterable[object], now_s: float) -> list[asyncio.Transport]:
        """Returns the connections whose client is too late; `connections` are all of the server."""
        waits: dict[H11Protocol, _Waits] = {}
        late: list[asyncio.Transport] = []
        for one in connections:
            if not isinstance(one, H11Protocol) or one.transport.is_closing():
                continue
            counts = counts_of(one.transport)
            now = None if counts is None else _waits(one, counts, now_s)
            if now is None:
                continue
            since = waits[one] = _since(self._waits.get(one), now)
            if now_s - since.at_s >= (BODY_S if since.is_body else HEAD_S):
                late.append(one.transport)
        self._waits = waits
        return late


def _waits(one: H11Protocol, counts: Counts, now_s: float) -> _Waits | None:
    """Returns for what the master waits, or None if the client has nothing to do."""
    cycle: RequestResponseCycle | None = one.cycle
    if counts.is_waiting:
        return None
    if cycle is None or cycle.response_complete:
        return _Waits(cycle, False, counts.received, now_s)
    if cycle.more_body and not cycle.response_started and not one.flow.read_paused:
        return _Waits(cycle, True, counts.received, now_s)
    return None


def _since(before: _Waits | None, now: _Waits) -> _Waits:
    """Returns since when the master waits for the same, without progress that counts."""
    if before is None or (before.cycle, before.is_body) != (now.cycle, now.is_body):
        return now
    if now.is_body and now.received - before.received >= BODY_BYTES:
        return now
    return before
