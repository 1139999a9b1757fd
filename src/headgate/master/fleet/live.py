"""One agent's session while it lives: carries out what `MasterSession` commands, in its order.

Sends and calls of the book wait in two queues, so that a slow book holds up no frame and a slow
agent no report. A task exists only while its queue has something; how far an agent is and that it
is there costs none, for the book takes that at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

import structlog

from headgate.fleet import master_events as ev
from headgate.fleet.frames import AgentFrame, Heartbeat, MasterFrame
from headgate.fleet.master_session import MasterSession, State, Terms
from headgate.fleet.pacing import Random, TokenBucket
from headgate.fleet.searches import LogLines
from headgate.master.fleet.book import FleetBook, UnavailableError
from headgate.master.fleet.shelf import Shelf

_log = structlog.get_logger()
_RETRY_S = (1.0, 4.0)
_MOST_WAITING = 256
_MOST_UNSENT = 64
_MS = 1000


def _newest(before: Heartbeat | None, beat: Heartbeat) -> Heartbeat:
    """Returns the newer heartbeat, with what only the one before it said."""
    if before is None:
        return beat
    return replace(
        beat,
        inventory=beat.inventory or before.inventory,
        instances=beat.instances or before.instances,
        drift=beat.drift or before.drift,
    )


class Carrier(Protocol):
    """The connection that carries frames to one agent."""

    async def send(self, frame: MasterFrame) -> None:
        """Sends the frame; waits while the agent takes nothing. Raises OSError once it is gone."""
        ...

    def close(self) -> None:
        """Ends the connection after what was sent."""
        ...


class House(Protocol):
    """The parts of a master that its sessions share."""

    book: FleetBook
    shelf: Shelf
    terms: Terms
    bytes_left: TokenBucket
    random: Random

    async def admit(self, session: "LiveSession", join: ev.Join) -> ev.Event:
        """Returns Joined, or Cut with the reason."""
        ...

    def gone(self, session: "LiveSession") -> None:
        """The session has ended."""
        ...

    def answered(self, session: "LiveSession", lines: LogLines) -> None:
        """The agent answered a search, or a part of it."""
        ...


class LiveSession:
    """A session and its carrier. Everything runs in one loop."""

    def __init__(self, house: House, carrier: Carrier, identity: str, address: str) -> None:
        """`identity`: the agent whose certificate the carrier verified."""
        self.identity = identity
        self.address = address
        self.serial = ""
        self.transport = "grpc"
        """`grpc` or `websocket`."""
        self.fence = 0
        self.next_wish = 0.0
        """The time when the agent may be asked again to renew (monotonic seconds)."""
        self._house = house
        self._carrier = carrier
        self._machine = MasterSession(house.terms, house.random, time.monotonic())
        self._machine.clock_ms = int(time.time() * _MS)
        self._outbox: deque[ev.Send | ev.HangUp] = deque()
        self._newest_beat: Heartbeat | None = None
        self._calls: deque[ev.Command] = deque()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._arm()

    @property
    def is_live(self) -> bool:
        """The agent was let in and is here."""
        return self._machine.state is State.LIVE and not self._is_closed

    @property
    def has_ended(self) -> bool:
        """The carrier is gone."""
        return self._is_closed

    def takes(self, word: str) -> bool:
        """Says whether the agent named this among what it may be ordered."""
        return self._machine.takes(word)

    def received(self, frame: AgentFrame) -> None:
        """Takes a frame of the agent."""
        self.handle(ev.Received(frame))

    def handle(self, event: ev.Event) -> None:
        """Passes an event to the machine and begins what it commands."""
        if self._is_closed:
            return
        try:
            for command in self._machine.handle(event, time.monotonic()):
                self._carry_out(command)
        except Exception as error:  # a timer or the hub called: their other sessions go on
            _log.exception("session failed", agent=self.identity, error=str(error))
            self._leave()
            return
        if len(self._outbox) > _MOST_UNSENT:
            self._abandon()
            return
        if len(self._calls) > _MOST_WAITING:
            self._calls.clear()
            self.handle(ev.Cut("busy", "the master is behind with this agent's reports", 5.0))
        self._arm()

    def _carry_out(self, command: ev.Command) -> None:
        match command:
            case ev.Send() | ev.HangUp():
                self._outbox.append(command)
                self._run("send", self._send)
            case ev.Record(report):
                self._house.book.reported(self.identity, self.fence, report)
            case ev.Seen(beat):
                self._beaten(beat)
            case ev.Answered(lines):
                self._house.answered(self, lines)
            case _:
                self._calls.append(command)
                self._run("call", self._call)

    def _beaten(self, beat: Heartbeat) -> None:
        """Most heartbeats say nothing that must not be lost, and then nobody waits for the book."""
        if self._newest_beat is None and "seen" not in self._tasks and not beat.says_news:
            self._house.book.beaten(self.identity, self.fence, beat)
            return
        self._newest_beat = _newest(self._newest_beat, beat)
        self._run("seen", self._see)

    def ended(self) -> None:
        """The carrier is gone: forgets everything."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer:
            self._timer.cancel()
        for task in self._tasks.values():
            if task is not asyncio.current_task():
                task.cancel()
        self._house.gone(self)

    def _abandon(self) -> None:
        """The agent takes nothing of what it is sent: it can come back."""
        _log.warning("agent takes nothing", agent=self.identity)
        self._leave()

    def _leave(self) -> None:
        self._carrier.close()
        self.ended()

    def _arm(self) -> None:
        """Sees to it that a Tick comes in time; a timer that is too early looks again."""
        due = self._machine.deadline()
        if due is None or self._is_closed:
            return
        at = self._loop.time() + max(0.0, due - time.monotonic())
        if self._timer is not None and not self._timer.cancelled():
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        due = self._machine.deadline()
        if due is not None and due <= time.monotonic():
            self.handle(ev.Tick())
        self._arm()

    def _run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._loop.create_task(self._work(name, work))

    async def _work(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except OSError:
            self.ended()
        except Exception as error:  # a fault of the master's costs one session, and is reported
            _log.exception("session failed", agent=self.identity, error=str(error))
            self._tasks.pop(name, None)
            self.handle(ev.Cut("fault", "the master failed; its log says why", 5.0))
        finally:
            if self._tasks.get(name) is asyncio.current_task():
                del self._tasks[name]

    async def _send(self) -> None:
        while self._outbox and not self._is_closed:
            command = self._outbox.popleft()
            if isinstance(command, ev.HangUp):
                self._carrier.close()
                self.ended()
                return
            await self._pay(command.cost)
            await self._carrier.send(command.frame)

    async def _pay(self, cost: int) -> None:
        """Waits until the budget of bytes allows for so many."""
        wait_s = self._house.bytes_left.take(cost, time.monotonic()) if cost else 0.0
        while wait_s > 0:
            await asyncio.sleep(wait_s)
            wait_s = self._house.bytes_left.take(cost, time.monotonic())

    async def _call(self) -> None:
        while self._calls and not self._is_closed:
            command = self._calls.popleft()
            try:
                answer = await self._answer(command)
            except UnavailableError:
                answer = await self._without_book(command)
            if answer is not None:
                self.handle(answer)

    async def _without_book(self, command: ev.Command) -> ev.Event | None:
        """The book is away: agents stay connected. What they asked for and reported is tried
        again."""
        if isinstance(command, ev.Join):
            return ev.Cut("busy", "the master cannot read its store", 5.0)
        self._calls.appendleft(command)
        first, spread = _RETRY_S
        await asyncio.sleep(first + spread * self._house.random())
        return None

    async def _see(self) -> None:
        """Tells the book of the newest heartbeat; while the store is away, of none, but then of
        what an agent says only once."""
        while (beat := self._newest_beat) is not None:
            self._newest_beat = None
            try:
                await self._house.book.seen(self.identity, beat)
            except UnavailableError:
                newer = self._newest_beat
                self._newest_beat = beat if newer is None else _newest(beat, newer)
                return

    async def _answer(self, command: ev.Command) -> ev.Event | None:
        book = self._house.book
        match command:
            case ev.Join():
                return await self._house.admit(self, command)
            case ev.AskDesired():
                desired = await book.desired(self.identity)
                orders = await book.orders(self.identity)
                if desired is None:
                    return ev.DesiredIs(None, None, orders=orders)
                shelf = self._house.shelf
                listed = shelf.listed(desired.manifest)
                changes = shelf.changes_to(desired.manifest)
                contents = await shelf.fill(
                    book,
                    self.identity,
                    desired.manifest,
                    self._machine.offers.base,
                    self._house.terms.chunk_bytes,
                )
                return ev.DesiredIs(desired, listed, changes, orders, contents)
            case ev.AskBind():
                return ev.BindIs(await book.bind())
            case ev.FindBlobs(hashes):
                return ev.Found(await self._house.shelf.blobs(book, self.identity, hashes))
            case ev.Tell(notices):
                await book.noticed(self.identity, notices)
        return None
