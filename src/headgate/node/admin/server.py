"""Serves the admin API from our own event loop."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from headgate.node.admin.limits import LimitedConfig, LimitedProtocol, Places

_GRACE_S = 2
_BACKLOG = 16  # also how many it accepts before it serves one of them


class AddressTakenError(Exception):
    """An admin address cannot be opened; the message says why and what to do."""


class AdminServer(uvicorn.Server):
    """uvicorn without its signal handlers and without its ten wake-ups a second."""

    def __init__(self, app: ASGIApp, sockets: list[socket.socket], places: Places) -> None:
        """`sockets` listen already; other servers may share `places`."""
        config = LimitedConfig(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
            server_header=False,
            http=LimitedProtocol,
            ws="none",
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_GRACE_S,
        )
        config.places = places
        super().__init__(config)
        self._own_sockets = sockets
        self._leave = asyncio.Event()

    async def run_until_stopped(self) -> None:
        """Serves until `stop`, then gives requests in flight a moment."""
        await self.serve(sockets=self._own_sockets)

    def stop(self) -> None:
        """Ends `run_until_stopped`."""
        self._leave.set()

    async def main_loop(self) -> None:
        """Waits for `stop`."""
        await self._leave.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the process that owns them."""
        yield


def open_tcp(address: str) -> socket.socket:
    """Returns a listening socket for `host:port`; raises AddressTakenError."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        one = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise AddressTakenError(f"the admin address {address} cannot be opened: {error}") from error
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it. Without, the body of an answer waits until the client's kernel has
        # acknowledged the head, 40 ms: asyncio sets it only where the socket names its protocol.
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.bind((host, int(port)))
        one.listen(_BACKLOG)  # now: a client that learns of the address may connect at once
    except (OSError, ValueError, OverflowError) as error:
        one.close()
        why = getattr(error, "strerror", None) or str(error)
        raise AddressTakenError(
            f"the admin address {address} cannot be opened: {why.lower()}"
        ) from error
    return one


def open_unix(path: Path) -> socket.socket:
    """Returns a listening socket for its owner only; replaces a file at `path`."""
    path.unlink(missing_ok=True)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Before `bind`: Linux gives the file the socket's mode, so it is never open to others.
    os.fchmod(one.fileno(), 0o600)
    one.bind(str(path))
    one.listen(_BACKLOG)
    return one
