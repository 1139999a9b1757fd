"""A gate's door on this host, with what a test needs to knock at it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tls_authority import Authority
from waiting import DEADLINE_S

from headgate.node.gate.door import Door
from headgate.node.gate.options import GateOptions
from headgate.node.remote import greeting
from headgate.node.remote.credentials import Credentials
from headgate.node.remote.greeting import Hello, Welcome
from headgate.node.remote.pump import Stream
from headgate.node.remote.target import Files

CONTROL = "control.test"


class Stage:
    """A door in front of a socket that answers lines, as the supervisor's."""

    def __init__(self, folder: Path, door: Door, port: int, authority: Authority) -> None:
        self.folder, self.door, self.port, self.authority = folder, door, port, authority
        self.greeted = 0
        """How many connections came to the socket."""
        self._kept: list[Stream] = []  # what nobody holds is closed

    async def connect(self, *, with_certificate: bool = True) -> Stream:
        """A connection after the handshake."""
        pair = self.authority.issue("ctl", CONTROL)
        its = Files(str(pair.cert_file), str(pair.key_file), str(self.authority.ca_file))
        context = Credentials(its, is_server=False).context
        if not with_certificate:
            context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname="dp.test"
        )

    async def greet(
        self, to: str = "supervisor.sock", instance: str = "a", link: tuple[int, int] = (1, 1)
    ) -> tuple[Stream, Welcome]:
        """A connection after its greeting, and the answer."""
        stream = await self.connect()
        self._kept.append(stream)
        hello = Hello(link, to, instance, "9.9", "ctl-1", 7)
        return stream, await self.say(stream, greeting.line(hello))

    async def say(self, stream: Stream, line: bytes) -> Welcome:
        """The answer to a first line."""
        stream[1].write(line)
        async with asyncio.timeout(DEADLINE_S):
            return greeting.welcome_of(await stream[0].readline())


@contextlib.asynccontextmanager
async def stage(
    folder: Path, answer: Callable[[bytes], bytes] = lambda line: line
) -> AsyncIterator[Stage]:
    """A door that is open; what is behind it answers each line with `answer`."""
    authority = Authority(folder)
    pair = authority.issue("dp", "dp.test")
    its = Files(str(pair.cert_file), str(pair.key_file), str(authority.ca_file))
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    options = GateOptions(str(folder), f"127.0.0.1:{port}", its, control_names=[CONTROL])
    door = Door(options, listening, "1.0", look_s=0.01)

    on = Stage(folder, door, port, authority)

    async def behind(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        on.greeted += 1
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            while line := await reader.readline():
                writer.write(answer(line))
        writer.close()

    server = await asyncio.start_unix_server(behind, str(folder / "supervisor.sock"))
    running = asyncio.ensure_future(door.run())
    try:
        yield on
    finally:
        running.cancel()
        door.close()
        server.close()
