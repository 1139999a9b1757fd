"""Gives a remote data plane a Unix socket here: gRPC to it goes over the control link."""

import asyncio
import contextlib
from pathlib import Path
from typing import Final

from headgate.node.admin.server import open_unix
from headgate.node.link import LinkError
from headgate.node.remote.dial import Dialer
from headgate.node.remote.pump import CHUNK, Stream, hang_up, pump

_MOST: Final = 8
"""Connections at a time; gRPC makes one for each channel."""


class Lane:
    """One Unix socket for one data plane; each connection to it becomes one over TLS."""

    def __init__(self, dialer: Dialer, to: str, path: Path) -> None:
        """`to`: the name of the data plane's own socket."""
        self.path = path
        self._dialer = dialer
        self._to = to
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begins to listen; raises OSError."""
        socket = open_unix(self.path)
        self._server = await asyncio.start_unix_server(self._accepted, sock=socket, limit=CHUNK)

    def close(self) -> None:
        """Closes the socket and every connection through it."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= _MOST:
            hang_up(writer)
            return
        task = asyncio.create_task(self._carry((reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, ours: Stream) -> None:
        try:
            theirs, _, _ = await self._dialer.dial(self._to)
        except LinkError:
            hang_up(ours[1])  # gRPC says that the data plane is unavailable, and tries again
            return
        except BaseException:
            hang_up(ours[1])
            raise
        await pump(ours, theirs)
