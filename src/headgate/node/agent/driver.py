"""Runs an agent's session: carries out what the machine in `headgate.fleet` says. Decides nothing.

Everything that happens becomes an event in one queue; the machine answers with commands. Disk work
is done in the order of the commands, in threads.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

import structlog

from headgate.fleet import agent_events as ev
from headgate.fleet.agent_session import AgentSession, State
from headgate.fleet.codec import decode_master, encode_agent
from headgate.fleet.frames import Fault, Phase, Want
from headgate.fleet.orders import OrderBody, Upgrade
from headgate.kernel.errors import Invalid
from headgate.node.agent.applying import Applying
from headgate.node.agent.carrier import Carrier, CarrierError
from headgate.providers.master.incoming import Incoming
from headgate.providers.master.store import BundleStore

_log = structlog.get_logger()

_OF_A_LINK = (ev.Connected, ev.Disconnected, ev.Received)

Dialled = Callable[[], Awaitable[Carrier]]


@dataclass(slots=True)
class Contact:
    """The agent's record of its connections; times are Unix seconds."""

    last_at: float = 0.0
    last_error: str = ""
    dials: int = 0


class SessionDriver:
    """Runs one session machine until it is cancelled."""

    def __init__(
        self, session: AgentSession, dial: Dialled, disk: "Disk", applying: Applying
    ) -> None:
        """`dial` connects with the agent's present certificate, or raises CarrierError."""
        self.session = session
        self.contact = Contact()
        self.on_state: Callable[[State, str], None] = lambda state, why: None
        """Called when the session becomes live, and when it no longer is, with the reason."""
        self.on_handled: Callable[[], None] = lambda: None
        """Called after each event."""
        self.on_renew: Callable[[float], None] = lambda within_s: None
        """Called when the master wants the certificate renewed within so many seconds."""
        self.on_upgrade: Callable[[Upgrade], None] = lambda upgrade: None
        """Called with each order to upgrade."""
        self.on_order: Callable[[OrderBody], None] = lambda order: None
        """Called with what the master ordered beside a revision."""
        self._dial = dial
        self._disk = disk
        self._applying = applying
        self._events: asyncio.Queue[tuple[int, ev.Event]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._disk_work: asyncio.Queue[ev.FindMissing | ev.Store] = asyncio.Queue()
        self._link: asyncio.Task[None] | None = None
        self._number = 0
        """Counts connections: what an earlier one says no longer counts."""
        self._out: asyncio.Queue[bytes] = asyncio.Queue()

    def post(self, event: ev.Event) -> None:
        """Gives an event to the machine; from the loop's thread."""
        self._events.put_nowait((self._number, event))

    async def run(self) -> None:
        """Runs the session until cancelled."""
        self._spawn(self._work())
        self._handle(ev.Start())
        try:
            while True:
                self._handle(await self._next())
        finally:
            for task in list(self._tasks):
                task.cancel()

    async def _next(self) -> ev.Event:
        """Returns the next event, a Tick when its time has come."""
        deadline = self.session.deadline()
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            async with asyncio.timeout(left):
                while True:
                    number, event = await self._events.get()
                    if number == self._number or not isinstance(event, _OF_A_LINK):
                        return event
        except TimeoutError:
            return ev.Tick()

    def _handle(self, event: ev.Event) -> None:
        before = self.session.state
        self.session.clock_ms = int(time.time() * 1000)
        if isinstance(event, ev.Received):
            self.contact.last_at = time.time()
        if isinstance(event, ev.Disconnected):
            self.contact.last_error = event.why
        commands = self.session.handle(event, time.monotonic())
        for command in commands:
            self._carry_out(command)
        after = self.session.state
        if after is not before and State.LIVE in (before, after):
            self.on_state(after, self.contact.last_error)
        self.on_handled()

    def _carry_out(self, command: ev.Command) -> None:
        match command:
            case ev.Dial():
                self._hang_up()
                self.contact.dials += 1
                self._out = asyncio.Queue()
                self._link = self._spawn(self._connect(self._out, self._number))
            case ev.Send(frame):
                self._out.put_nowait(encode_agent(frame))
            case ev.HangUp(why):
                self.contact.last_error = why
                self._hang_up()
            case ev.Renew(within_s):
                self.on_renew(within_s)
            case ev.GoOver(upgrade):
                self.on_upgrade(upgrade)
            case ev.CarryOut(order):
                self.on_order(order)
            case ev.FindMissing() | ev.Store():
                self._disk_work.put_nowait(command)
            case ev.Apply():
                self._spawn(self._apply(command))

    def _hang_up(self) -> None:
        self._number += 1  # its end, which it may have told already, says less than the reason
        if self._link is not None:
            self._link.cancel()
            self._link = None

    async def _connect(self, out: "asyncio.Queue[bytes]", number: int) -> None:
        """Holds one connection from dialling to its end."""

        def say(event: ev.Event) -> None:
            self._events.put_nowait((number, event))

        why = "the master ended the session"
        carrier: Carrier | None = None
        try:
            carrier = await self._dial()
            say(ev.Connected())
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(_write(carrier, out))
                async for data in carrier.frames():
                    say(ev.Received(decode_master(data)))
                writing.cancel()
        except* (CarrierError, Invalid) as group_error:
            why = str(group_error.exceptions[0])
        finally:
            if carrier is not None:
                # A connection that is broken already may not be closed well; that is no fault.
                with contextlib.suppress(CarrierError, OSError):
                    await carrier.close()
        say(ev.Disconnected(why))

    async def _apply(self, command: ev.Apply) -> None:
        try:
            await self._applying.apply(command, self.post)
        except Exception as error:  # the session waits for the last phase
            _log.error("master.task_broken", exc_info=error)
            fault = Fault("agent", f"a fault of the agent's: {error}", True)
            self.post(ev.Progress(command.job, Phase.REJECTED, fault=fault))

    async def _work(self) -> None:
        """Does the disk work, one piece after the other."""
        while True:
            command = await self._disk_work.get()
            try:
                event = await asyncio.to_thread(self._disk.do, command)
            except OSError as error:
                event = _failed(command, error.strerror or str(error))
                self.contact.last_error = f"the disk: {event.why}"
                _log.error("master.disk", error=self.contact.last_error)
            except Exception as error:  # nobody else does the next piece
                event = _failed(command, f"a fault of the agent's: {error}")
                self.contact.last_error = event.why
                _log.exception("master.disk", error=event.why)
            if event is not None:
                self.post(event)

    def _spawn(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("master.task_broken", exc_info=error)
        if task is self._link:
            self.post(ev.Disconnected(f"the connection broke by a fault of the agent's: {error}"))


class Disk:
    """The disk's side of fetching."""

    def __init__(self, store: BundleStore, incoming: Incoming) -> None:
        self._store = store
        self._incoming = incoming

    def do(self, command: ev.FindMissing | ev.Store) -> ev.Event | None:
        """Does a piece of work; returns what the session is to hear of it, if anything."""
        if isinstance(command, ev.FindMissing):
            return self.find_missing(command)
        return self.store(command)

    def find_missing(self, command: ev.FindMissing) -> ev.Event:
        """Returns which blobs of a manifest are not here."""
        found = self._incoming.missing(command.manifest.entries, self._store.content())
        return ev.Missing(command.job, tuple(Want(*one) for one in found))

    def store(self, command: ev.Store) -> ev.Event | None:
        """Writes a part of a blob; returns the verdict once it is complete."""
        is_good = self._incoming.write(command.sha256, command.offset, command.total, command.data)
        return None if is_good is None else ev.Stored(command.sha256, is_good)


def _failed(command: ev.FindMissing | ev.Store, why: str) -> ev.DiskFailed:
    if isinstance(command, ev.FindMissing):
        return ev.DiskFailed(why, job=command.job)
    return ev.DiskFailed(why, sha256=command.sha256)


async def _write(carrier: Carrier, out: "asyncio.Queue[bytes]") -> None:
    while True:
        await carrier.send(await out.get())
