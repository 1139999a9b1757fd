"""Who gets in by TCP, and how much one client may take."""

import asyncio
import contextlib
import http.client
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import loops
import pytest
from ports import free_address
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from waiting import DEADLINE_S, until_async

from headgate.compile.settings import NodeSettings
from headgate.node.admin import limits
from headgate.node.admin.servers import AdminServers
from headgate.node.options import Options

TOKEN = "correct-horse-battery"  # noqa: S105 - no door of anybody's
OPEN = ("/live", "/ready", "/health", "/metrics")
CLOSED = ("/status", "/config", "/events", "/reload", "/drain", "/explain", "/live/", "/")
Body = Callable[[AdminServers, str], Awaitable[None]]


def settings(address: str, token: str | None = None) -> NodeSettings:
    return NodeSettings((address,), (), None, None, "info", admin_token=token)


class _Site:
    """An application whose `/metrics` does not answer before it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked = 0

    async def slow(self, _request: Request) -> Response:
        self.asked += 1
        await self.go_on.wait()
        return PlainTextResponse("ok")

    def app(self) -> Starlette:
        quick = [Route(path, _ok, methods=["GET", "POST"]) for path in (*OPEN[:3], *CLOSED)]
        return Starlette(routes=[*quick, Route("/metrics", self.slow), Route("/big", _big)])


async def _ok(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def _big(_request: Request) -> Response:
    return PlainTextResponse("x" * 50_000_000)


def play(folder: Path, body: Body, site: Callable[[], _Site] = _Site) -> None:
    """Runs a test's body with servers on the Unix socket and on one address."""

    async def all_of_it() -> None:
        address = free_address()
        servers = AdminServers(Options(state_dir=str(folder)))
        servers.start(site().app(), PlainTextResponse("metrics"), restore=False)
        assert servers.prepare(settings(address)) == []
        servers.commit()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await body(servers, address)
        finally:
            await servers.close()

    loops.run(all_of_it())


def _status(where: str | Path, path: str, token: str = "") -> int:
    headers = {"host": "localhost"} | ({"authorization": token} if token else {})
    connection = http.client.HTTPConnection("localhost", timeout=DEADLINE_S)
    connection.sock = _connected(where)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


async def status(where: str | Path, path: str, token: str = "") -> int:
    """The status of a request on a connection of its own."""
    return await asyncio.to_thread(_status, where, path, token)


def _connected(where: str | Path) -> socket.socket:
    if isinstance(where, Path):
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(DEADLINE_S)
        one.connect(str(where))
        return one
    host, _, port = where.rpartition(":")
    return socket.create_connection((host, int(port)), DEADLINE_S)


def test_by_tcp_only_health_and_metrics_are_answered_without_a_token(tmp_path: Path) -> None:
    async def body(servers: AdminServers, address: str) -> None:
        for path in OPEN[:3]:
            assert await status(address, path) == 200
        for path in CLOSED:
            assert await status(address, path) == 401, path
            assert await status(address, path, f"Bearer {TOKEN}") == 401, path
            assert await status(tmp_path / "admin.sock", path) == 200, path

    play(tmp_path, body)


def test_the_token_of_the_config_opens_the_rest_until_it_changes(tmp_path: Path) -> None:
    async def body(servers: AdminServers, address: str) -> None:
        servers.prepare(settings(address, TOKEN))
        assert await status(address, "/config", f"Bearer {TOKEN}") == 401, "not committed yet"
        servers.commit()
        assert await status(address, "/config", f"Bearer {TOKEN}") == 200
        for wrong in (TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", "Bearer", "Bearer "):
            assert await status(address, "/config", wrong) == 401, wrong
        servers.prepare(settings(address))
        servers.commit()
        assert await status(address, "/config", f"Bearer {TOKEN}") == 401

    play(tmp_path, body)


def test_the_unix_socket_is_never_open_to_others(tmp_path: Path) -> None:
    modes: list[int] = []
    before = os.umask(0)

    class _Watching(AdminServers):
        def _start(self, *args: object, **named: object) -> None:
            modes.append(stat.S_IMODE((tmp_path / "admin.sock").stat().st_mode))

    try:
        servers = _Watching(Options(state_dir=str(tmp_path)))
        servers.start(PlainTextResponse("a"), PlainTextResponse("b"), restore=False)
    finally:
        os.umask(before)
    assert modes == [0o600]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads are waited for, however long the machine stalls."""
    monkeypatch.setattr(limits, "HEAD_S", DEADLINE_S)


@pytest.fixture
def short(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for a client are over soon."""
    monkeypatch.setattr(limits, "HEAD_S", 0.05)
    monkeypatch.setattr(limits, "STALL_S", 0.05)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /live HT",
        b"GET /live HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx",
    ],
)
def test_who_does_not_ask_in_time_is_cut_off(tmp_path: Path, begun: bytes) -> None:
    async def body(servers: AdminServers, address: str) -> None:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(begun)
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 200")
        writer.close()

    play(tmp_path, body)


def test_who_does_not_read_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STALL_S", 0.05)

    async def body(servers: AdminServers, address: str) -> None:
        one = await asyncio.to_thread(_connected, tmp_path / "admin.sock")
        await until_async(lambda: servers.connections() == 1, "the connection")
        one.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until_async(lambda: servers.connections() == 0, "the end of the connection")
        one.close()

    play(tmp_path, body)


def test_a_full_house_still_serves_who_asks(tmp_path: Path) -> None:
    async def body(servers: AdminServers, address: str) -> None:
        most = limits.most_connections()
        idle = [await asyncio.to_thread(_connected, address) for _ in range(2 * most)]
        assert await status(address, "/live") == 200
        assert await status(tmp_path / "admin.sock", "/status") == 200
        assert servers.connections() <= most
        for one in idle:
            one.close()

    play(tmp_path, body)


def test_requests_that_are_answered_do_not_give_way(tmp_path: Path) -> None:
    made: list[_Site] = []

    def site() -> _Site:
        made.append(_Site())
        return made[-1]

    async def body(servers: AdminServers, address: str) -> None:
        most = limits.most_connections()
        asking = [asyncio.create_task(status(address, "/metrics")) for _ in range(4)]
        await until_async(lambda: made[0].asked == len(asking), "the requests")
        idle = [await asyncio.to_thread(_connected, address) for _ in range(2 * most)]
        assert await status(address, "/live") == 200
        made[0].go_on.set()
        assert await asyncio.gather(*asking) == [200] * len(asking)
        for one in idle:
            one.close()

    play(tmp_path, body, site)
