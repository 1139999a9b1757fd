"""An endpoint of the layer 4 drill: TCP to a PostgreSQL, and an echo of datagrams, at one port.

    python tests/drills/layer4_endpoint.py PORT /path/of/.s.PGSQL.5432

An echo begins with the endpoint's port and the port that the datagram came from, so that a client
sees whether its flow is still the same one.
"""

import asyncio
import sys
from contextlib import suppress
from typing import cast


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


class _Echo(asyncio.DatagramProtocol):
    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(b"%d %d %s" % (self._port, addr[1], data), addr)


async def _serve(port: int, database: str) -> None:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(database)
        await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))

    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: _Echo(port), local_addr=("127.0.0.1", port))
    server = await asyncio.start_server(relay, "127.0.0.1", port, backlog=128)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))
