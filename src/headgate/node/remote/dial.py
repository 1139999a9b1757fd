"""Opens connections of a control plane to its data plane: TLS, then the greeting."""

import asyncio
import contextlib
import os
import socket
from typing import Final

from headgate.node.link import LinkError
from headgate.node.remote import greeting
from headgate.node.remote.credentials import Credentials, CredentialsError
from headgate.node.remote.greeting import GreetingError, Hello, Welcome
from headgate.node.remote.peer import TURNED_AWAY, Peer, met
from headgate.node.remote.pump import Stream, hang_up, watch_for_death
from headgate.node.remote.target import Target

_CONNECT_S: Final = 5.0
_LIMIT: Final = 1 << 20  # of a line of the supervisor


class Dialer:
    """Connects to one data plane, as one instance of a control plane."""

    def __init__(self, target: Target, version: str) -> None:
        """Reads the certificate files; raises CredentialsError."""
        self.target = target
        self.credentials = Credentials(target.trust, is_server=False)
        self._version = version
        self._instance = os.urandom(16).hex()

    async def dial(self, to: str) -> tuple[Stream, Welcome, Peer]:
        """Returns a connection for the supervisor's or a data plane's socket; raises LinkError."""
        where = self.target.address
        try:
            async with asyncio.timeout(_CONNECT_S):
                stream = await self._connected()
        except CredentialsError as error:
            raise LinkError(f"{where}: {error}") from error
        except OSError as error:  # ssl's errors and TimeoutError are among them
            raise LinkError(f"{where}: {met(error, self.target.name)}") from error
        if why := self.credentials.objection(self.credentials.shown(stream[1])):
            hang_up(stream[1])  # before it has heard a word
            raise LinkError(f"{where}: {why}")
        try:
            async with asyncio.timeout(_CONNECT_S):
                return await self._greeted(stream, to)
        except (ConnectionError, EOFError) as error:  # asyncio hangs up without TLS's alert
            hang_up(stream[1])
            raise LinkError(f"{where}: {TURNED_AWAY}") from error
        except (OSError, ValueError) as error:
            hang_up(stream[1])
            raise LinkError(f"{where}: {met(error, self.target.name)}") from error
        except BaseException:
            hang_up(stream[1])
            raise

    async def _connected(self) -> Stream:
        host, port = self.target.parts()
        reader, writer = await asyncio.open_connection(
            host,
            port,
            limit=_LIMIT,
            ssl=self.credentials.context,
            server_hostname=self.target.name,
        )
        with contextlib.suppress(OSError):
            connection: socket.socket = writer.get_extra_info("socket")
            watch_for_death(connection)
        return reader, writer

    async def _greeted(self, stream: Stream, to: str) -> tuple[Stream, Welcome, Peer]:
        reader, writer = stream
        link = (greeting.OLDEST, greeting.NEWEST)
        host, pid = socket.gethostname(), os.getpid()
        hello = Hello(link, to, self._instance, self._version, host, pid)
        writer.write(greeting.line(hello))
        await writer.drain()
        raw = await reader.readline()
        if not raw:
            raise EOFError
        try:
            welcome = greeting.welcome_of(raw)
        except GreetingError as error:
            raise LinkError(f"{self.target.address}: {error}") from error
        if welcome.error:
            raise LinkError(f"{self.target.address}: {welcome.error}")
        certificate = self.credentials.shown(writer)
        peer = Peer(self.target.address, welcome.host, welcome.pid, welcome.version, certificate)
        return stream, welcome, peer
