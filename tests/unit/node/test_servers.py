"""The admin API's addresses, changed while they serve."""

import asyncio
import http.client
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import loops
import pytest
from ports import free_address
from starlette.responses import PlainTextResponse
from waiting import DEADLINE_S

from headgate.compile.settings import NodeSettings
from headgate.node.admin import limits
from headgate.node.admin.server import open_tcp
from headgate.node.admin.servers import AdminServers
from headgate.node.options import Options


def settings(admin: tuple[str, ...] = (), metrics: tuple[str, ...] = ()) -> NodeSettings:
    return NodeSettings(admin, metrics, state_dir=None, workers=None, log_level="info")


async def get(where: str) -> str:
    """What an address answers."""

    def ask() -> str:
        connection = http.client.HTTPConnection(where, timeout=DEADLINE_S)
        try:
            connection.request("GET", "/live")
            return connection.getresponse().read().decode()
        except ConnectionError:
            return "refused"
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads are waited for, however long the machine stalls."""
    monkeypatch.setattr(limits, "HEAD_S", DEADLINE_S)


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Callable[[AdminServers], Awaitable[None]]], None]:
    """Runs a test's body with servers of which only the Unix socket is served."""

    def run(body: Callable[[AdminServers], Awaitable[None]]) -> None:
        async def all_of_it() -> None:
            servers = AdminServers(Options(state_dir=str(tmp_path)))
            servers.start(PlainTextResponse("admin"), PlainTextResponse("metrics"), restore=True)
            try:
                async with asyncio.timeout(20):
                    await body(servers)
            finally:
                await servers.close()
            assert not (tmp_path / "admin.sock").exists()

        loops.run(all_of_it())

    return run


Play = Callable[[Callable[[AdminServers], Awaitable[None]]], None]


def test_addresses_come_and_go_with_the_config(play: Play) -> None:
    one, two = free_address(), free_address()

    async def body(servers: AdminServers) -> None:
        assert servers.prepare(settings((one,), (two,))) == []
        servers.commit()
        assert (await get(one), await get(two)) == ("admin", "metrics")
        assert servers.prepare(settings((two,))) == []
        servers.commit()
        assert (await get(one), await get(two)) == ("refused", "admin")

    play(body)


def test_what_was_not_committed_is_not_served(play: Play) -> None:
    one = free_address()

    async def body(servers: AdminServers) -> None:
        assert servers.prepare(settings((one,))) == []
        servers.abandon()
        assert await get(one) == "refused"

    play(body)


def test_a_busy_address_is_said_to_be_wrong(play: Play) -> None:
    async def body(servers: AdminServers) -> None:
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            busy = f"127.0.0.1:{holder.getsockname()[1]}"
            (wrong,) = servers.prepare(settings((free_address(), busy)))
            servers.abandon()
        assert wrong.path == "admin[1]", "the line of the config can be told"
        assert wrong.message == f"the admin address {busy} cannot be opened: address already in use"
        assert wrong.allowed.startswith("write another address")

    play(body)


def test_the_next_control_process_serves_what_this_one_did(play: Play) -> None:
    one = free_address()

    async def first(servers: AdminServers) -> None:
        servers.prepare(settings((one,)))
        servers.commit()

    async def second(servers: AdminServers) -> None:
        assert one in servers.addresses()
        assert await get(one) == "admin"

    play(first)
    play(second)


def test_answers_on_a_port_do_not_wait_for_acknowledgements() -> None:
    with open_tcp("127.0.0.1:0") as port, socket.create_connection(port.getsockname()):
        taken, _ = port.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
