"""A client of an ASGI application, without a socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Scope
from waiting import DEADLINE_S

SWITCHED = 101
"""The status of a WebSocket that the application let in."""


@dataclass
class Reply:
    """What the application answered."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    address: str = "",
) -> Reply:
    """One request, from that address if one is given; `path` may have a query."""
    client = (address, 1) if address else None
    scope = {
        **_scope("http", path, headers),
        "method": method,
        "scheme": "http",
        "client": client,
    }
    reply = Reply()
    is_sent = False

    async def receive() -> Message:
        nonlocal is_sent
        if is_sent:
            await asyncio.Event().wait()  # the client stays
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            pairs = message["headers"]
            reply.headers = {name.decode(): value.decode() for name, value in pairs}
        else:
            reply.body += message.get("body", b"")

    await app(scope, receive, send)
    return reply


class Socket:
    """A WebSocket to an application: its status, and the body of a refusal."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.code: int | None = None
        """The code with which the application closed it."""
        self.to_app: asyncio.Queue[Message] = asyncio.Queue()
        self.from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def send(self, data: bytes) -> None:
        """Sends a binary message."""
        await self.to_app.put({"type": "websocket.receive", "bytes": data})

    async def receive(self) -> bytes:
        """Returns the next message; nothing once the application has closed the connection."""
        message = await self.from_app.get()
        if message["type"] != "websocket.send":
            self.code = message.get("code")
            return b""
        data = message.get("bytes")
        return data if isinstance(data, bytes) else str(message["text"]).encode()

    async def opened(self) -> None:
        """Waits until the application lets the client in, or refuses it with a response."""
        while (message := await self.from_app.get())["type"] != _END:
            if message["type"] == "websocket.accept":
                self.status = SWITCHED
                return
            self.status = message.get("status", self.status)
            self.body += message.get("body", b"")


_END = "the application returned"


@contextlib.asynccontextmanager
async def dialled(
    app: ASGIApp, path: str, headers: dict[str, str] | None = None
) -> AsyncIterator[Socket]:
    """Gives a WebSocket that the application has let in or refused; the client leaves at the end.

    What the application raises is raised here.
    """
    socket = Socket()
    scope = {
        **_scope("websocket", path, headers),
        "scheme": "ws",
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }

    async def served() -> None:
        try:
            await app(scope, socket.to_app.get, socket.from_app.put)
        finally:
            socket.from_app.put_nowait({"type": _END})

    await socket.to_app.put({"type": "websocket.connect"})
    serving = asyncio.create_task(served())
    async with asyncio.timeout(DEADLINE_S):
        try:
            await socket.opened()
            yield socket
        finally:
            await socket.to_app.put({"type": "websocket.disconnect", "code": 1000})
            await serving


def _scope(kind: str, path: str, headers: dict[str, str] | None) -> Scope:
    bare, _, query = path.partition("?")
    raw = {"host": "headgate"} | (headers or {})
    return {
        "type": kind,
        "path": bare,
        "raw_path": bare.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "http_version": "1.1",
        "headers": [(name.encode(), value.encode()) for name, value in raw.items()],
    }
