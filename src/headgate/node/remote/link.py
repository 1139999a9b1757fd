"""The control plane's end of a control link over TCP: as a supervisor's link that comes back.

While the link is down every request raises LinkError with the reason.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from headgate.node.link import About, DataPlane, LinkError, SupervisorLink
from headgate.node.remote import greeting
from headgate.node.remote.credentials import CredentialsError, is_over
from headgate.node.remote.dial import Dialer
from headgate.node.remote.lane import Lane
from headgate.node.remote.peer import LinkStatus, Peer
from headgate.node.remote.pump import hang_up

BEAT_S: Final = 2.0
SILENCE_S: Final = 6.0
"""A supervisor that answers nothing for so long is gone."""
_AGAIN_S: Final = (0.1, 2.0)
_KEPT_LANES: Final = 2
"""Lanes that stay: of the data plane that serves, and of the one that it replaced."""
_NOTHING: Final = About(None, [], 0, {}, "running", config_was_applied=False)

_log = structlog.get_logger()


class RemoteLink:
    """Keeps a link to the supervisor of a data plane elsewhere."""

    def __init__(self, dialer: Dialer, folder: Path) -> None:
        """`folder`: for the Unix sockets through which data planes are reached."""
        self.on_linked: Callable[[About], None] = lambda _: None
        self.on_lost: Callable[[str], None] = lambda _: None
        self._dialer = dialer
        self._folder = folder
        self._link: SupervisorLink | None = None
        self._lanes: list[Lane] = []
        self._opened = 0
        self._why = "the control link is not up yet"
        self._since = time.time()
        self._contact = 0.0
        self._protocol = 0
        self._peer: Peer | None = None
        self._events: asyncio.Queue[tuple[str, DataPlane | None]] = asyncio.Queue()
        self._linked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._fault = ""
        """The fault of the last look at the certificate files, which is logged once."""

    # As SupervisorLink.

    async def hello(self) -> About:
        """Begins to connect; returns what is known before that: nothing."""
        self._task = asyncio.create_task(self._keep())
        return _NOTHING

    async def status(self) -> About:
        """Returns how the data plane's node is."""
        return await self._up().status()

    async def listen(self, addresses: list[str], backlog: int) -> None:
        """Opens all addresses there; raises BusyError for none."""
        await self._up().listen(addresses, backlog)

    async def release(self, addresses: list[str]) -> None:
        """Closes addresses once their queues are empty."""
        await self._up().release(addresses)

    async def upgrade(self) -> None:
        """Replaces the data plane by a new one without losing a connection."""
        await self._up().upgrade()

    async def drain(self) -> None:
        """Drains the data plane's node and ends it."""
        await self._up().drain()

    async def control_ready(self) -> None:
        """Reports that a config of this process is served."""
        await self._up().control_ready()

    async def workers(self, count: int | None) -> None:
        """Sets how many workers there are; None = by CPU."""
        await self._up().workers(count)

    async def reloading(self) -> None:
        """Reports to the systemd over there that a reload begins."""
        await self._up().reloading()

    async def reloaded(self, status: str) -> None:
        """Reports that a reload has ended."""
        await self._up().reloaded(status)

    async def events(self) -> AsyncIterator[tuple[str, DataPlane | None]]:
        """Yields each event's name, with the data plane if it is about one; never ends."""
        while True:
            yield await self._events.get()

    async def close(self) -> None:
        """Hangs up; the data plane serves on."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._close_lanes(0)

    # Beyond it.

    @property
    def is_of_fleet(self) -> bool:
        """Says whether the fleet's CA issued the certificates of both ends."""
        return self._dialer.target.fleet is not None

    async def linked(self) -> None:
        """Returns once the link is up."""
        await self._linked.wait()

    def unready(self) -> str:
        """Returns why the data plane cannot be reached; empty when it can."""
        return "" if self._link is not None else f"no control link: {self._why}"

    def about(self) -> LinkStatus:
        """Returns how the link is."""
        return LinkStatus(
            role="control",
            address=self._dialer.target.address,
            connected=self._link is not None,
            since=self._since,
            last_contact=self._contact,
            certificate=self._dialer.credentials.certificate,
            protocol=self._protocol,
            error="" if self._link is not None else self._why,
            peer=self._peer,
        )

    def _up(self) -> SupervisorLink:
        if self._link is None:
            raise LinkError(f"no control link: {self._why}")
        return self._link

    async def _keep(self) -> None:
        pause = _AGAIN_S[0]
        while True:
            before = self._contact
            try:
                await self._once()
            except LinkError as error:
                self._down(str(error))
            except Exception as error:  # the link must come back whatever the other end says
                _log.error("link.broken", exc_info=error)
                where = self._dialer.target.address
                self._down(f"{where}: what came over the link is not understood; see the log")
            if self._contact != before:
                pause = _AGAIN_S[0]
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - spreads attempts
            pause = min(2 * pause, _AGAIN_S[1])
            await self._renew()

    def _down(self, why: str) -> None:
        if self._link is not None or why != self._why:
            _log.warning("link.down", dataplane=self._dialer.target.address, error=why)
        if self._link is not None:
            self._link, self._since = None, time.time()
            self._linked.clear()
            self.on_lost(why)
        self._close_lanes(0)
        self._why = why

    async def _once(self) -> None:
        """Connects and stays until the link ends; raises LinkError with why it did."""
        stream, welcome, peer = await self._dialer.dial(greeting.SUPERVISOR)
        link = SupervisorLink(*stream)
        try:
            async with asyncio.timeout(SILENCE_S):
                about = await link.hello()
            self._peer, self._protocol = peer, welcome.link
            self._contact = time.time()
            if about.dataplane is not None:
                about = msgspec.structs.replace(about, dataplane=await self._lane(about.dataplane))
            self._link, self._since = link, self._contact
            fields = {"version": peer.version, "host": peer.host}
            _log.info("link.up", dataplane=peer.address, **fields)
            self._linked.set()
            self.on_linked(about)
            await self._while_up(link, peer)
        except TimeoutError as error:
            why = f"{self._dialer.target.address}: the supervisor did not answer"
            raise LinkError(why) from error
        finally:
            await link.close()
            hang_up(stream[1])

    async def _while_up(self, link: SupervisorLink, peer: Peer) -> None:
        events = asyncio.ensure_future(self._follow(link))
        try:
            while True:
                done, _ = await asyncio.wait([events], timeout=BEAT_S)
                if done:
                    events.result()
                    raise LinkError(f"{peer.address}: the data plane's node hung up")
                async with asyncio.timeout(SILENCE_S):
                    await link.status()
                self._contact = time.time()
                if await self._renew():
                    raise LinkError("our certificates were renewed")
                if why := self._dialer.credentials.objection(peer.certificate):
                    raise LinkError(f"{peer.address}: {why}")
                if is_over(peer.certificate):
                    raise LinkError(f"{peer.address}: the data plane's certificate has expired")
        finally:
            events.cancel()

    async def _follow(self, link: SupervisorLink) -> None:
        async for event, plane in link.events():
            self._contact = time.time()
            is_new = event == "dataplane"
            found = await self._lane(plane) if plane is not None and is_new else plane
            self._events.put_nowait((event, found))

    async def _lane(self, plane: DataPlane) -> DataPlane:
        """Returns the data plane with a socket that exists here; another for each link.

        So whoever is connected to it notices that what it knew may be wrong.
        """
        self._opened += 1
        path = self._folder / f"dp-{self._opened & 0xFFFFFF:x}-{plane.generation}.sock"
        lane = Lane(self._dialer, Path(plane.grpc_socket).name, path)
        try:
            await lane.open()
        except OSError as error:
            raise LinkError(f"{path}: {error.strerror}") from error
        self._lanes.append(lane)
        self._close_lanes(_KEPT_LANES)
        return msgspec.structs.replace(plane, grpc_socket=str(path))

    def _close_lanes(self, but: int) -> None:
        while len(self._lanes) > but:
            self._lanes.pop(0).close()

    async def _renew(self) -> bool:
        try:
            if not await asyncio.to_thread(self._dialer.credentials.renewed):
                return False
        except CredentialsError as error:
            _log.error("link.certificates_refused", error=str(error))
            return False
        except Exception as error:  # the link goes on with what it has
            if (fault := repr(error)) != self._fault:
                self._fault = fault
                _log.exception("link.certificates_refused", error=fault)
            return False
        self._fault = ""
        _log.info("link.certificates_renewed")
        return True
