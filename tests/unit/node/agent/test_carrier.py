"""The gRPC carrier: how soon it says that there is no way."""

import asyncio
from types import SimpleNamespace

import loops
import pytest
from live_master import live_master
from ports import dead_port
from waiting import DEADLINE_S

from headgate.node.agent import carrier as module
from headgate.node.agent.carrier import Credentials, GrpcCarrier
from headgate.providers.master.fallback import LinkError

_SOON_S = 15.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The carrier waits long: a stall of this process is no silence of the other side."""
    waits = SimpleNamespace(
        timeout=lambda _: asyncio.timeout(DEADLINE_S), InvalidStateError=asyncio.InvalidStateError
    )
    monkeypatch.setattr(module, "asyncio", waits)


def test_a_refused_connection_is_told_long_before_the_time_is_over() -> None:
    async def scenario(port: int) -> str:
        async with live_master() as master:
            who = await master.enrol()
        credentials = Credentials(who.authorities_pem, who.key_pem, who.certificate_pem)
        carrier = GrpcCarrier(f"127.0.0.1:{port}", credentials)
        try:
            async with asyncio.timeout(_SOON_S):
                with pytest.raises(LinkError) as refused:
                    await carrier.connect(60.0)
        finally:
            await carrier.close()
        return str(refused.value)

    with dead_port() as port:
        assert "unavailable" in loops.run(scenario(port))


def test_a_port_that_speaks_something_else_is_told_at_once() -> None:
    async def scenario() -> str:
        async with live_master() as master:
            who = await master.enrol()
        server = await asyncio.start_server(_says_no, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        credentials = Credentials(who.authorities_pem, who.key_pem, who.certificate_pem)
        carrier = GrpcCarrier(f"127.0.0.1:{port}", credentials)
        try:
            async with asyncio.timeout(_SOON_S):
                with pytest.raises(LinkError) as refused:
                    await carrier.connect(60.0)
        finally:
            await carrier.close()
            server.close()
        return str(refused.value)

    assert "unavailable" in loops.run(scenario())


async def _says_no(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()
