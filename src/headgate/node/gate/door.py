"""Lets a control plane in over TLS and connects it to the Unix sockets of this node."""

import asyncio
import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Final

import structlog
from msgspec.structs import replace

from headgate.node.gate.holder import SILENCE_S, Holder, Holding, silence
from headgate.node.gate.options import GateOptions
from headgate.node.gate.refusals import Refusals
from headgate.node.remote import greeting
from headgate.node.remote.credentials import Credentials, CredentialsError, is_over
from headgate.node.remote.greeting import GreetingError, Hello, Welcome
from headgate.node.remote.peer import LinkStatus, Peer, misnamed
from headgate.node.remote.pump import CHUNK, Stream, hang_up, pump, watch_for_death

_HANDSHAKE_S: Final = 5.0
_LOOK_S: Final = 2.0
_PAUSE_S: Final = 0.1
_HUNG_UP: Final = "hung-up"
_MOST_STRANGERS: Final = 16
"""Connections at a time that have not said yet who they are."""
_MOST_PLANES: Final = 16
"""Connections at a time to data planes."""

_log = structlog.get_logger()


class Door:
    """The TCP port of the control link."""

    def __init__(
        self,
        options: GateOptions,
        listening: socket.socket,
        version: str,
        look_s: float = _LOOK_S,
    ) -> None:
        """Reads the certificate files, and again every `look_s`; raises CredentialsError."""
        self._look_s = look_s
        self.holder = Holder()
        self.refusals = Refusals()
        self.credentials = Credentials(options.trust, is_server=True)
        self.trouble: Callable[[], str] = lambda: ""
        """Says why the master did not issue or renew our certificate."""
        self._options = options
        self._listening = listening
        self._version = version
        self._since = time.time()
        self._last: Holding | None = None
        self._ended = ""
        self._strangers = 0
        self._links: dict[asyncio.Task[None], Holding] = {}
        self._planes: dict[asyncio.Task[None], Holding] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Accepts until cancelled."""
        loop = asyncio.get_running_loop()
        self._listening.setblocking(False)
        self._begin(self._look())
        while True:
            try:
                connection, address = await loop.sock_accept(self._listening)
            except OSError:  # out of descriptors: the client waits in the queue
                await asyncio.sleep(_PAUSE_S)
                continue
            if self._strangers >= _MOST_STRANGERS:
                connection.close()
                self._refused("busy", address[0], "too many connections at once")
                continue
            self._begin(self._serve(connection, address))

    def close(self) -> None:
        """Ends the link and everything through it."""
        for task in self._tasks:
            task.cancel()
        self._listening.close()

    def about(self) -> LinkStatus:
        """Returns how the link is."""
        held = self.holder.current
        last = held or self._last
        return LinkStatus(
            role="dataplane",
            address=self._options.listen,
            connected=held is not None,
            since=held.since if held is not None else self._since,
            last_contact=last.contact if last is not None else 0.0,
            certificate=replace(self.credentials.certificate, trouble=self.trouble()),
            protocol=last.link if last is not None else 0,
            error="" if held is not None else self._ended or "no control plane has come yet",
            refused=self.refusals.last,
            refusals=self.refusals.counts.total(),
            connections=len(self._planes),
            peer=last.peer if last is not None else None,
        )

    async def renew(self) -> str:
        """Reads the certificate files again; returns why they cannot be used, empty when they can.

        New ones end the link: it comes back at once, and both ends have verified each other anew.
        """
        try:
            renewed = await asyncio.to_thread(self.credentials.renewed)
        except CredentialsError as error:
            _log.error("link.certificates_refused", error=str(error))
            return str(error)
        if renewed:
            _log.info("link.certificates_renewed")
            self._end_link("our certificates were renewed")
        return ""

    # One connection.

    async def _serve(self, connection: socket.socket, address: tuple[str, int]) -> None:
        self._strangers += 1
        try:
            stream, hello, peer = await self._known(connection, address)
        except (OSError, EOFError, ValueError, GreetingError, CredentialsError) as error:
            connection.close()
            self._refused(*_why_not(error, address[0]))
            return
        finally:
            self._strangers -= 1
        try:
            await self._let_in(stream, hello, peer)
        finally:
            hang_up(stream[1])

    async def _known(
        self, connection: socket.socket, address: tuple[str, int]
    ) -> tuple[Stream, Hello, Peer]:
        """Returns who connected, after the handshake and the greeting; both have a deadline."""
        watch_for_death(connection)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(CHUNK)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            connection,
            ssl=self.credentials.context,
            ssl_handshake_timeout=_HANDSHAKE_S,
            ssl_shutdown_timeout=1,
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            async with asyncio.timeout(_HANDSHAKE_S):
                raw = await reader.readline()
            if not raw:
                raise EOFError
            hello = greeting.hello_of(raw)
        except BaseException:
            hang_up(writer)
            raise
        certificate = self.credentials.shown(writer)
        where = f"{address[0]}:{address[1]}"
        return (
            (reader, writer),
            hello,
            Peer(where, hello.host[:255], hello.pid, hello.version[:64], certificate),
        )

    async def _let_in(self, stream: Stream, hello: Hello, peer: Peer) -> None:
        answer = self._objection(hello, peer)
        inside: Stream | None = None
        if answer is None:
            try:
                path = Path(self._options.state_dir) / hello.to
                inside = await asyncio.open_unix_connection(str(path), limit=CHUNK)
            except OSError as error:
                why = (error.strerror or str(error)).lower()
                answer = Welcome(reason="away", error=f"{hello.to} does not answer here: {why}")
            else:
                answer = self._objection(hello, peer)  # it may have changed meanwhile
        if answer is not None or inside is None:
            if inside is not None:
                hang_up(inside[1])
            await self._turn_away(stream, answer or Welcome(), peer)
            return
        link = greeting.agreed(hello.link) or 0
        welcome = Welcome(link, self._version, socket.gethostname(), os.getpid())
        stream[1].write(greeting.line(welcome))
        if hello.is_for_supervisor():
            await self._hold(
                stream,
                inside,
                Holding(hello.instance, peer, link, time.time(), time.monotonic(), time.time()),
            )
        else:
            await self._carry(stream, inside)

    def _objection(self, hello: Hello, peer: Peer) -> Welcome | None:
        """Returns the answer to who is not let in."""
        if greeting.agreed(hello.link) is None:
            why = greeting.disagreement(hello, self._version)
            return Welcome(version=self._version, reason="version", error=why)
        if why := misnamed(peer.certificate, self._options.control_names):
            return Welcome(reason="name", error=why)
        if why := self.credentials.objection(peer.certificate):
            return Welcome(reason="name", error=why)
        if not hello.is_for_supervisor() and len(self._planes) >= _MOST_PLANES:
            return Welcome(reason="busy", error="too many connections to data planes at once")
        return self.holder.objection(hello)

    async def _turn_away(self, stream: Stream, answer: Welcome, peer: Peer) -> None:
        self._refused(answer.reason, peer.address.rpartition(":")[0], answer.error)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_HANDSHAKE_S):
                stream[1].write(greeting.line(answer))
                await stream[1].drain()
                stream[1].close()
                await stream[1].wait_closed()

    async def _hold(self, stream: Stream, inside: Stream, holding: Holding) -> None:
        """Carries the link itself until it ends; what else the control plane has ends with it."""
        if self.holder.current is not None:
            self._end_link("the control plane has connected again")
        task = _current()
        self._links[task] = holding
        self.holder.take(holding)
        self._last, self._ended = holding, ""
        peer = holding.peer
        fields = {"peer": peer.address, "host": peer.host, "version": peer.version}
        _log.info("link.up", **fields, certificate=peer.certificate.subject)

        def heard() -> None:
            holding.heard, holding.contact = time.monotonic(), time.time()

        try:
            await pump(stream, inside, heard)
        finally:
            self._links.pop(task, None)
            for plane in [one for one, its in self._planes.items() if its is holding]:
                plane.cancel()
            if self.holder.leave(holding):
                self._since = time.time()
                self._ended = self._ended or "the control plane hung up"
                _log.warning("link.down", peer=peer.address, error=self._ended)

    async def _carry(self, stream: Stream, inside: Stream) -> None:
        held = self.holder.current
        if held is None:
            return
        task = _current()
        self._planes[task] = held
        try:
            await pump(stream, inside)
        finally:
            self._planes.pop(task, None)

    # The rest.

    async def _look(self) -> None:
        """Looks now and then for renewed files, and for a control plane that is silent."""
        while True:
            await asyncio.sleep(self._look_s)
            try:
                await self.renew()
            except Exception:  # who is silent must be found out all the same
                _log.exception("link.certificates_refused")
            held = self.holder.current
            if held is None:
                continue
            if silence(held, time.monotonic()) <= 0:
                self._end_link(f"the control plane said nothing for {SILENCE_S:g} s")
            elif is_over(held.peer.certificate):
                self._end_link("the control plane's certificate has expired")
            elif why := self.credentials.objection(held.peer.certificate):
                self._end_link(why)

    def _end_link(self, why: str) -> None:
        for task, holding in self._links.items():
            if holding is self.holder.current:
                self._ended = why
                task.cancel()

    def _refused(self, reason: str, host: str, error: str) -> None:
        if self.refusals.add(reason, host, error, time.monotonic()):
            # Probes that only connect are no attempt to come in.
            write = _log.debug if reason == _HUNG_UP else _log.warning
            write("link.refused", reason=reason, peer=host, error=error)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("link.connection_broken", exc_info=error)


def _current() -> "asyncio.Task[None]":
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - only called in one
    return task


def _why_not(error: Exception, host: str) -> tuple[str, str, str]:
    """Returns reason, host and words for a connection that never became a control plane's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate", host, f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).lower().replace("_", " ")
        kind = "certificate" if "certificate" in reason or "unknown ca" in reason else "tls"
        return kind, host, f"TLS failed: {reason}"
    if isinstance(error, GreetingError | ValueError | CredentialsError):
        return "unready" if isinstance(error, CredentialsError) else "greeting", host, str(error)
    if isinstance(error, TimeoutError | ConnectionAbortedError):  # asyncio aborts handshakes
        return "slow", host, "it did not say who it is in time"
    if isinstance(error, EOFError | ConnectionResetError):
        return _HUNG_UP, host, "it hung up before it said who it is"
    return "tls", host, str(getattr(error, "strerror", None) or "it hung up").lower()
