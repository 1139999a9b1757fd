"""Which connections are too late with what their client asks, on uvicorn's own connections."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import loops
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState
from waiting import until_async

from headgate.master.socket_counts import counts_of
from headgate.master.unfinished import BODY_BYTES, BODY_S, HEAD_S, Unfinished

_GET = b"GET /%s HTTP/1.1\r\nhost: a\r\n\r\n"
_PUT = b"PUT /%s HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n"
_OK = {"type": "http.response.start", "status": 204, "headers": []}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers once it has the whole body; at once under `/early`, without an end under `/long`."""
    if scope["path"] != "/early":
        while (await receive()).get("more_body"):
            pass
    if scope["path"] == "/busy":
        await asyncio.Event().wait()
    if scope["path"] == "/long":
        await send(_OK | {"status": 200})
        await asyncio.Event().wait()
    await send(_OK)
    await send({"type": "http.response.body"})


class _Counting(H11Protocol):
    """uvicorn's connection, which counts what came."""

    taken = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.taken += len(data)


class Served:
    """A server with a few connections, at which one may look at any time."""

    def __init__(self) -> None:
        self.state = ServerState()
        self._unfinished = Unfinished()

    def late(self, now_s: float) -> int:
        """How many connections are too late."""
        return len(self._unfinished.overdue(self.state.connections, now_s))


class Client:
    """A client's socket, and the server's end of its connection."""

    def __init__(self, one: socket.socket, end: _Counting) -> None:
        self.socket = one
        self.end = end

    async def send(self, data: bytes) -> None:
        """Sends, and waits until the server took it."""
        wanted = self.end.taken + len(data)
        await asyncio.get_running_loop().sock_sendall(self.socket, data)
        await until_async(lambda: self.end.taken == wanted, "the server took it")

    async def answered(self, status: bytes) -> None:
        """Waits for an answer, and until the kernel knows that it came."""
        got = await asyncio.get_running_loop().sock_recv(self.socket, 4_096)
        assert got.startswith(b"HTTP/1.1 " + status), got
        await until_async(lambda: not self._is_waiting(), "nothing waits for the client")

    def _is_waiting(self) -> bool:
        counts = counts_of(self.end.transport)
        assert counts is not None
        return counts.is_waiting


@contextlib.asynccontextmanager
async def served(*requests: bytes) -> AsyncIterator[tuple[Served, list[Client]]]:
    """A server, and a client for each of these first bytes."""
    loop = asyncio.get_running_loop()
    one = Served()
    # uvicorn's own timer would end what was answered five seconds ago.
    config = uvicorn.Config(
        app, http="h11", lifespan="off", log_config=None, timeout_keep_alive=3600
    )
    config.load()
    made: list[_Counting] = []

    def connection() -> _Counting:
        made.append(_Counting(config, one.state, {}))
        return made[-1]

    server = await loop.create_server(connection, "127.0.0.1", 0)
    clients: list[Client] = []
    try:
        for request in requests:
            client = socket.socket()
            client.setblocking(False)
            await loop.sock_connect(client, server.sockets[0].getsockname())
            count = len(clients) + 1
            await until_async(lambda: len(one.state.connections) == count, "it is connected")  # noqa: B023
            clients.append(Client(client, made[-1]))
            await clients[-1].send(request)
        yield one, clients
    finally:
        for each in clients:
            each.socket.close()
            each.end.transport.abort()
        for task in list(one.state.tasks):
            task.cancel()
        await asyncio.gather(*one.state.tasks, return_exceptions=True)
        server.close()


def test_a_client_that_sends_nothing_or_half_a_head_is_late_in_the_end() -> None:
    async def act() -> None:
        async with served(b"", b"GET / HT") as (one, clients):
            assert one.late(0.0) == 0
            await clients[1].send(b"TP/1.1\r\n")
            assert one.late(HEAD_S - 0.1) == 0
            assert one.late(HEAD_S) == 2

    loops.run(act())


def test_a_connection_that_was_answered_has_the_time_anew_for_each_request() -> None:
    async def act() -> None:
        async with served(_GET % b"") as (one, (client,)):
            await client.answered(b"204")
            assert one.late(0.0) == 0
            await client.send(_GET % b"")
            await client.answered(b"204")
            assert one.late(HEAD_S) == 0
            await client.send(b"G")
            assert one.late(2 * HEAD_S - 0.1) == 0
            assert one.late(2 * HEAD_S) == 1

    loops.run(act())


def test_a_client_with_an_early_answer_does_not_send_its_body_for_ever() -> None:
    async def act() -> None:
        async with served(_PUT % b"early") as (one, (client,)):
            await client.answered(b"204")
            assert one.late(0.0) == 0
            await client.send(b"x")
            assert one.late(HEAD_S) == 1

    loops.run(act())


def test_a_body_that_comes_slowly_is_waited_for_and_one_that_trickles_is_not() -> None:
    async def act() -> None:
        async with served(_PUT % b"a", _PUT % b"b") as (one, (slow, trickling)):
            for turn in range(4):
                assert one.late(turn * (BODY_S - 0.1)) == (1 if turn > 1 else 0)
                await slow.send(bytes(BODY_BYTES))
                await trickling.send(b"x")

    loops.run(act())


def test_answers_that_take_long_and_websockets_are_left_alone() -> None:
    async def act() -> None:
        async with served(_GET % b"busy", _GET % b"long") as (one, (_, long)):
            await long.answered(b"200")
            one.state.connections.add(asyncio.Protocol())  # type: ignore[arg-type]
            assert [one.late(turn * BODY_S) for turn in range(4)] == [0, 0, 0, 0]

    loops.run(act())
