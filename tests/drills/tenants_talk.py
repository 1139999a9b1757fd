"""One HTTP/1.1 connection to a master, for the two sides of the drill of tenants.

It owns bytes and headers, and never repeats a request.
"""

import asyncio
import json
import time
from typing import Any, NamedTuple, Self

_FRESH_S = 3.0
"""How long an idle connection is used again: the master closes it after 5 s."""


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


class Talk:
    """An open connection, which carries one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._used = time.monotonic()
        self._ends = False

    @classmethod
    async def open(cls, host: str, port: int, own: str) -> Self:
        """Connects from the address `own`; raises OSError."""
        return cls(*await asyncio.open_connection(host, port, local_addr=(own, 0)))

    @property
    def is_fresh(self) -> bool:
        """True if the connection can carry another request."""
        is_old = time.monotonic() - self._used > _FRESH_S
        return not (self._ends or is_old or self._reader.at_eof())

    async def ask(
        self, method: str, path: str, token: str, body: object = None, **headers: str
    ) -> Answer:
        """One request; `if_match="…"` becomes a header. Raises OSError and EOFError."""
        raw = b"" if body is None else json.dumps(body).encode()
        lines = {"host": "master", "authorization": f"Bearer {token}"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines |= {"content-type": "application/json", "content-length": str(len(raw))}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + raw)
        first, *rest = (await self._reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        found = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in rest if line)
        }
        answer = await self._reader.readexactly(int(found.get("content-length", "0")))
        self._used = time.monotonic()
        self._ends = found.get("connection", "").lower() == "close"
        return Answer(int(first.split()[1]), found, answer)

    def close(self) -> None:
        """Ends the connection."""
        self._writer.close()
