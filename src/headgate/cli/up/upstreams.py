"""Small upstreams to try a proxy with: each answer has their name and what they received."""

import asyncio
import functools
import re
from collections.abc import Iterable
from typing import Final

NAMES: Final = ("one", "two", "three")
_MAX_HEAD: Final = 64 * 1024


async def serve(ports: Iterable[int]) -> list[asyncio.Server]:
    """Serves one upstream at each loopback port. Raises OSError for a port that is taken."""
    return [
        await asyncio.start_server(
            functools.partial(answer, name), "127.0.0.1", port, limit=_MAX_HEAD
        )
        for name, port in zip(NAMES, ports, strict=True)
    ]


async def answer(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serves one connection of the upstream `name`."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"(?im)^content-length: *(\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            line, _, headers = head.rstrip().partition("\r\n")
            shown = headers.replace("\r\n", "\n  ")
            body = f"upstream {name}\n{line}\n  {shown}\n".encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-upstream: %s\r\n"
                b"content-length: %d\r\n\r\n" % (name.encode(), len(body))
            )
            writer.write(body)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the proxy hung up, or sent what a demo does not need
    finally:
        writer.close()
