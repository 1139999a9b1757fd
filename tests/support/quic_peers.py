"""Real clients and servers of QUIC, by aioquic: what they send first, and whole connections."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import loops
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import QuicEvent, StreamDataReceived
from aioquic.quic.packet import QuicProtocolVersion
from ports import free_port
from tls_authority import Pair
from waiting import DEADLINE_S

PROTOCOL = "test"
LONG = [PROTOCOL] + [f"{n:0>200}" for n in range(10)]
"""Protocols whose list makes a ClientHello longer than one datagram holds."""


def first_datagrams(
    name: str | None, protocols: list[str] | None = None, *, is_v2: bool = False
) -> list[bytes]:
    """What a client that asks for a name sends before it is answered."""
    settings = QuicConfiguration(alpn_protocols=protocols or [PROTOCOL], server_name=name)
    if is_v2:
        settings.original_version = QuicProtocolVersion.VERSION_2
        settings.supported_versions = [QuicProtocolVersion.VERSION_2]
    client = QuicConnection(configuration=settings)
    client.connect(("127.0.0.1", 1), now=time.monotonic())
    return [data for data, _ in client.datagrams_to_send(now=time.monotonic())]


class _Names(QuicConnectionProtocol):
    """Answers each stream with the name of its server, and what came."""

    name = b""

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived) and event.end_stream:
            self._quic.send_stream_data(event.stream_id, self.name + event.data, True)
            self.transmit()


@contextlib.contextmanager
def server(name: str, pair: Pair) -> Iterator[int]:
    """A server that answers with its name; yields its port."""
    settings = QuicConfiguration(is_client=False, alpn_protocols=[PROTOCOL])
    settings.load_cert_chain(pair.cert_file, pair.key_file)
    answering = type("Answering", (_Names,), {"name": name.encode() + b" "})
    port, loop, is_up = free_port(), asyncio.new_event_loop(), threading.Event()

    async def run() -> None:
        stopped = asyncio.Event()
        loop.call_later(10 * DEADLINE_S, stopped.set)
        serving = await serve("127.0.0.1", port, configuration=settings, create_protocol=answering)
        ends.append(stopped)
        is_up.set()
        await stopped.wait()
        serving.close()

    ends: list[asyncio.Event] = []

    def act() -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(run())

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    assert is_up.wait(DEADLINE_S)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(ends[0].set)
        thread.join(DEADLINE_S)


def asked(port: int, name: str, ca_file: Path, protocols: list[str] | None = None) -> bytes:
    """What a whole connection for a name answers: its certificate must be of that name."""

    async def ask() -> bytes:
        settings = QuicConfiguration(alpn_protocols=protocols or [PROTOCOL], server_name=name)
        settings.load_verify_locations(str(ca_file))
        async with asyncio.timeout(DEADLINE_S):
            async with connect("127.0.0.1", port, configuration=settings) as client:
                reader, writer = await client.create_stream()
                writer.write(b"hello")
                writer.write_eof()
                return await reader.read()

    return loops.run(ask())
