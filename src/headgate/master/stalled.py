"""Cuts off clients that take nothing of what they are sent, or do not finish what they ask, so that
they cost little memory and a place among the connections for a short time. Never slows others.

uvicorn waits for room in a socket for ever, also to close it: neither its pings nor the end of a
handler free a connection whose client does not read. The kernel knows what a client took.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final, NamedTuple, Protocol

import structlog
import uvicorn

from headgate.master.background import kept_up
from headgate.master.socket_counts import counts_of
from headgate.master.unfinished import Unfinished

MOST_S: Final = 30.0
"""The time for which a client may take less than `LEAST_BYTES` while something waits for it."""
LEAST_BYTES: Final = 4 << 10
_LOOK_S: Final = 5.0
_NAMED: Final = 10

_log = structlog.get_logger()


class Connection(Protocol):
    """A connection of uvicorn, HTTP or WebSocket."""

    transport: asyncio.Transport


class _Taken(NamedTuple):
    acknowledged: int
    """Bytes, since the connection began."""
    at_s: float


class Stalled:
    """Counts and cuts clients that take nothing or finish nothing. Belongs to one event loop."""

    def __init__(self) -> None:
        self.cut = 0
        """The number of clients that were cut off."""
        self._taken: dict[asyncio.Transport, _Taken] = {}

    @contextlib.asynccontextmanager
    async def watching(self, server: uvicorn.Server) -> AsyncIterator[None]:
        """Looks at the connections of a server for the block."""
        what = "stalled clients"
        task = asyncio.create_task(kept_up(what, lambda: self._run(server)), name=what)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self, server: uvicorn.Server) -> None:
        mine: set[asyncio.Transport] = set()
        unfinished = Unfinished()
        while True:
            await asyncio.sleep(_LOOK_S)
            self._end(unfinished.overdue(server.server_state.connections, time.monotonic()))
            open_ones = [one.transport for one in server.server_state.connections]
            for gone in mine.difference(open_ones):
                self._taken.pop(gone, None)
            mine = set(open_ones)
            self.look(open_ones, time.monotonic())

    def _end(self, late: list[asyncio.Transport]) -> None:
        for one in late:
            one.abort()
        if late:
            self.cut += len(late)
            clients = sorted({_client(one) for one in late})[:_NAMED]
            _log.warning(
                "clients finished no request and were cut off", count=len(late), of=clients
            )

    def look(self, transports: Iterable[asyncio.Transport], now_s: float) -> None:
        """Aborts the connections on which something waited since `MOST_S` with no progress."""
        for one in transports:
            acknowledged = _waiting_after(one)
            if acknowledged is None:
                self._taken.pop(one, None)
                continue
            before = self._taken.setdefault(one, _Taken(acknowledged, now_s))
            if acknowledged - before.acknowledged >= LEAST_BYTES:
                self._taken[one] = _Taken(acknowledged, now_s)
            elif now_s - before.at_s >= MOST_S:
                del self._taken[one]
                self.cut += 1
                _log.warning("a client took nothing and was cut off", client=_client(one))
                _reset(one)


def _waiting_after(one: asyncio.Transport) -> int | None:
    """Returns how many bytes the client took, if more wait for it; else None."""
    counts = counts_of(one)
    return counts.acknowledged if counts is not None and counts.is_waiting else None


def _reset(one: asyncio.Transport) -> None:
    """Ends a connection with a reset: else the kernel would keep, and offer, what waits."""
    known = one.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it has just ended
        known.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.abort()


def _client(one: asyncio.Transport) -> str:
    peer = one.get_extra_info("peername")
    return str(peer[0]) if peer else ""
