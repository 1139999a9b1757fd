"""What stands around the fleet: upstreams that answer well or badly, and clients that count."""

import asyncio
import contextlib
import socket
from collections import Counter
from typing import Final

_PAUSE_S: Final = 0.1
_ANSWER_S: Final = 20.0


def free_ports(count: int) -> list[int]:
    """Returns ports of this machine that nobody has; all are held until the last one is found."""
    with contextlib.ExitStack() as held:
        found = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in found]


async def upstream(port: int, status: str) -> asyncio.Server:
    """Serves an upstream that answers every request with this status."""
    answer = f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
                await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port)


class Clients:
    """Asks one node again and again, on a new connection each time."""

    def __init__(self, port: int) -> None:
        self.answers: Counter[str] = Counter()
        self._port = port

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            status, _ = await asked(self._port)
            self.answers[status] += 1
            await asyncio.sleep(_PAUSE_S)


async def asked(port: int) -> tuple[str, str]:
    """Returns the status of one request, and the revision that the answer names."""
    try:
        async with asyncio.timeout(_ANSWER_S):
            head = await _head(port)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return "no answer", ""
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    return first.split()[1], fields.get("x-revision", "")


async def _head(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nhost: www.example\r\nconnection: close\r\n\r\n")
        return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()
