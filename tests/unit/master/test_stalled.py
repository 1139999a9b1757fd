"""Which connections are cut off because their client takes nothing, on real sockets."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

import loops
from waiting import until_async

from headgate.master.stalled import LEAST_BYTES, MOST_S, Stalled

_ROOM = 4_096
_MUCH = 8 << 20
_UNACKED = 24
"""The place of `tcpi_unacked` in `struct tcp_info` (linux/tcp.h)."""


class _Left(asyncio.Protocol):
    def __init__(self) -> None:
        self.is_lost = asyncio.Event()

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_lost.set()


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.Transport, _Left, socket.socket]]:
    """A connection of a server, and its client's socket, which has little room."""
    loop = asyncio.get_running_loop()
    taken: asyncio.Queue[tuple[asyncio.Transport, _Left]] = asyncio.Queue()

    class Taken(_Left):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            taken.put_nowait((transport, self))

    server = await loop.create_server(Taken, "127.0.0.1", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        client.setblocking(False)
        await loop.sock_connect(client, server.sockets[0].getsockname())
        transport, left = await taken.get()
        try:
            yield transport, left, client
        finally:
            transport.abort()
            server.close()


def is_full(one: asyncio.Transport) -> bool:
    """Whether the client's window is closed: what it has acknowledged stays the same."""
    info = one.get_extra_info("socket").getsockopt(
        socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED + 4
    )
    (in_flight,) = struct.unpack_from("=I", info, _UNACKED)
    return one.get_write_buffer_size() > 0 and not in_flight


def test_a_client_that_reads_nothing_is_cut_off_after_its_time() -> None:
    async def act() -> None:
        stalled = Stalled()
        async with connected() as (transport, left, _):
            transport.write(bytes(_MUCH))
            await until_async(lambda: is_full(transport), "the client takes no more")
            stalled.look([transport], 0.0)
            stalled.look([transport], MOST_S - 0.1)
            assert (stalled.cut, transport.is_closing()) == (0, False)
            stalled.look([transport], 3 * MOST_S)
            await left.is_lost.wait()
            assert stalled.cut == 1

    loops.run(act())


def test_a_connection_that_closes_and_waits_for_room_is_ended() -> None:
    async def act() -> None:
        stalled = Stalled()
        async with connected() as (transport, left, _):
            transport.write(bytes(_MUCH))
            transport.close()
            stalled.look([transport], 0.0)
            stalled.look([transport], MOST_S)  # the kernel may have taken some meanwhile
            stalled.look([transport], 2 * MOST_S)
            stalled.look([transport], 3 * MOST_S)
            await left.is_lost.wait()

    loops.run(act())


def test_a_slow_client_and_an_idle_one_stay() -> None:
    async def act() -> None:
        stalled = Stalled()
        loop = asyncio.get_running_loop()
        async with connected() as (slow, _, client), connected() as (idle, _, _):
            slow.write(bytes(_MUCH))
            for turn in range(4):
                stalled.look([slow, idle], turn * (MOST_S - 1))
                read = 0
                while read < 16 * LEAST_BYTES:
                    read += len(await loop.sock_recv(client, LEAST_BYTES))
            assert stalled.cut == 0

    loops.run(act())
