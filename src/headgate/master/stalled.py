"""Cuts off clients that take nothing of what they are sent, so that they cost little memory, for a
short time. Never slows others.

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

MOST_S: Final = 30.0
"""The time for which a client may take less than `LEAST_BYTES` while something waits for it."""
LEAST_BYTES: Final = 4 << 10
_LOOK_S: Final = 5.0
_TCP_INFO_BYTES: Final = 148
"""Up to `tcpi_notsent_bytes` of `struct tcp_info` (linux/tcp.h, since 4.6)."""
_UNACKED, _ACKED, _UNSENT = 24, 120, 144

_log = structlog.get_logger()


class Connection(Protocol):
    """A connection of uvicorn, HTTP or WebSocket."""

    transport: asyncio.Transport


class _Taken(NamedTuple):
    acknowledged: int
    """Bytes, since the connection began."""
    at_s: float


class Stalled:
    """Counts and cuts clients that take nothing. Belongs to one event loop."""

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
        while True:
            await asyncio.sleep(_LOOK_S)
            open_ones = [one.transport for one in server.server_state.connections]
            for gone in mine.difference(open_ones):
                self._taken.pop(gone, None)
            mine = set(open_ones)
            self.look(open_ones, time.monotonic())

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
    known = one.get_extra_info("socket")
    try:
        info = known.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except (OSError, AttributeError):
        return None  # it is closed
    if len(info) < _TCP_INFO_BYTES:
        return None
    (in_flight,) = struct.unpack_from("=I", info, _UNACKED)
    (unsent,) = struct.unpack_from("=I", info, _UNSENT)
    if not (in_flight or unsent or one.get_write_buffer_size()):
        return None
    (acknowledged,) = struct.unpack_from("=Q", info, _ACKED)
    return int(acknowledged)


def _reset(one: asyncio.Transport) -> None:
    """Ends a connection with a reset: else the kernel would keep, and offer, what waits."""
    known = one.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it has just ended
        known.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.abort()


def _client(one: asyncio.Transport) -> str:
    peer = one.get_extra_info("peername")
    return str(peer[0]) if peer else ""
