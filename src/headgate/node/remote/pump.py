"""Copies bytes between two connections; each side's reads wait for the other's writes."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CHUNK: Final = 65_536
"""Also the limit of what waits in either direction."""
DEAD_S: Final = 10
"""A peer that acknowledges nothing for so long is gone."""


async def pump(one: Stream, other: Stream, heard: Callable[[], None] = lambda: None) -> None:
    """Copies both ways until one side ends, then closes both; `heard`: `one` has sent something."""
    ways = [
        asyncio.ensure_future(_copy(one[0], other[1], heard)),
        asyncio.ensure_future(_copy(other[0], one[1], lambda: None)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        hang_up(one[1])
        hang_up(other[1])


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Callable[[], None]
) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            heard()
            writer.write(chunk)
            await writer.drain()


def hang_up(writer: asyncio.StreamWriter) -> None:
    """Closes a connection at once, whatever has not left yet."""
    writer.transport.abort()


def watch_for_death(connection: socket.socket) -> None:
    """Has the kernel end a connection whose other end is gone without a word."""
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_S // 2),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_S * 1000),
    ):
        with contextlib.suppress(OSError):
            connection.setsockopt(level, option, value)
