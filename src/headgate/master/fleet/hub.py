"""The live sessions of a master: whom to wake, whom to cut, who may come in."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from headgate.fleet import master_events as ev
from headgate.fleet.master_session import Terms
from headgate.fleet.orders import Upgrade
from headgate.fleet.pacing import Debounce, TokenBucket
from headgate.fleet.searches import LogLines, LogSearch
from headgate.fleet.signing import Bind
from headgate.master.fleet.book import FleetBook, UnavailableError
from headgate.master.fleet.live import LiveSession
from headgate.master.fleet.searching import Asking
from headgate.master.fleet.shelf import Shelf

_WAKE_AT_ONCE = 200
_RENEWALS_PER_S = 100
_WISH_AGAIN_S = 60.0


class Hub(Protocol):
    """The streams' interface for the rest of the master, used from the loop that they run in."""

    def wake(self, agent_ids: Iterable[str]) -> None:
        """Asks the book anew what these agents must serve, and offers it; debounced."""
        ...

    def connected(self) -> frozenset[str]:
        """Returns the agents that have a live session."""
        ...

    def cut(self, agent_id: str) -> None:
        """Ends the agent's session now: it was revoked."""
        ...


@dataclass(frozen=True, slots=True)
class Budgets:
    """The limits of all agents together: sessions and bytes of config a second, with how many at
    once. An agent beyond them waits `patience_s` for its turn, then is sent away for a while."""

    sessions_per_s: float = 1000.0
    sessions_at_once: float = 2000.0
    bytes_per_s: float = 512e6
    bytes_at_once: float = 256e6
    patience_s: float = 5.0


class LiveHub:
    """The hub of one master process; lives in one loop."""

    def __init__(
        self, book: FleetBook, terms: Terms | None = None, budgets: Budgets | None = None
    ) -> None:
        self.book = book
        self.shelf = Shelf()
        self.terms = terms or Terms()
        self.random = random.SystemRandom().random
        self._budgets = budgets or Budgets()
        self.bytes_left = TokenBucket(self._budgets.bytes_per_s, self._budgets.bytes_at_once)
        self._sessions_left = TokenBucket(
            self._budgets.sessions_per_s, self._budgets.sessions_at_once
        )
        self._sessions: dict[str, LiveSession] = {}
        self._asking = Asking(self._sessions.get)
        self._to_wake: dict[str, None] = {}
        self._changes = Debounce()
        self._waking: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def wake(self, agent_ids: Iterable[str]) -> None:
        """See Hub."""
        self._to_wake.update(dict.fromkeys(agent_ids))
        self._changes.touch(time.monotonic())
        if self._waking is None:
            self._waking = asyncio.get_running_loop().create_task(self._wake())

    def connected(self) -> frozenset[str]:
        """See Hub."""
        return frozenset(self._sessions)

    def by_transport(self) -> dict[str, int]:
        """Returns how many sessions there are by what carries them."""
        counts = Counter(session.transport for session in self._sessions.values())
        return {name: counts[name] for name in ("grpc", "websocket")}

    def cut(self, agent_id: str) -> None:
        """See Hub."""
        if session := self._sessions.get(agent_id):
            session.handle(ev.Cut("revoked", "this agent was revoked", 60.0))

    def cut_certificates(self, agent_id: str, serials: frozenset[str]) -> None:
        """Ends the agent's session now if it began with one of these certificates."""
        session = self._sessions.get(agent_id)
        if session is not None and session.serial in serials:
            session.handle(ev.Cut("revoked", "this certificate was revoked", 60.0))

    def renew(self, agent_id: str) -> None:
        """Asks the agent to renew its certificate; once in a while, and not all at once."""
        session = self._sessions.get(agent_id)
        now = time.monotonic()
        if session is None or now < session.next_wish:
            return
        within_s = max(1.0, len(self._sessions) / _RENEWALS_PER_S)
        session.next_wish = now + within_s + _WISH_AGAIN_S
        session.handle(ev.Outdated(within_s))

    def upgrade(self, agent_id: str, upgrade: Upgrade) -> None:
        """Gives the agent an order to run another program; it obeys each order once."""
        if session := self._sessions.get(agent_id):
            session.handle(ev.Wanted(upgrade))

    async def admit(self, session: LiveSession, join: ev.Join) -> ev.Event:
        """Returns Joined with the fence; Cut for who is unknown, revoked or too early."""
        hello = join.hello
        if hello.agent != session.identity:
            return ev.Cut("unknown", "the certificate is another agent's", 60.0)
        if self._is_stopping or not await self._turn():
            wait_s = self._budgets.patience_s * (1 + self.random())
            return ev.Cut("busy", "too many agents connect at once", wait_s)
        if await self.book.identify(session.identity, session.serial) is None:
            return ev.Cut("revoked", "this agent or its certificate is unknown or revoked", 60.0)
        session.fence = await self.book.joined(session.identity, hello, session.address)
        if session.has_ended:
            self.gone(session)
            return ev.Cut("gone", "the agent left before it was let in")
        before = self._sessions.get(session.identity)
        if before is not None:
            before.handle(ev.Cut("replaced", "the agent made a new connection"))
            self._asking.gone(session.identity)
        self._sessions[session.identity] = session
        return ev.Joined(session.fence)

    def gone(self, session: LiveSession) -> None:
        """A session has ended."""
        if self._sessions.get(session.identity) is session:
            del self._sessions[session.identity]
            self._asking.gone(session.identity)
        if session.fence:
            task = asyncio.get_running_loop().create_task(self._left(session))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def search(self, agent_id: str, wanted: LogSearch, bind: Bind) -> LogLines:
        """Returns what an agent found in its logs; raises SearchError."""
        return await self._asking.search(agent_id, wanted, bind)

    def answered(self, session: LiveSession, lines: LogLines) -> None:
        """An agent answered a search, or a part of it."""
        self._asking.answered(session.identity, lines)

    def stop(self) -> None:
        """Tells every agent to find another master, or to come back after a while."""
        self._is_stopping = True
        for session in list(self._sessions.values()):
            session.handle(ev.Cut("stopping", "the master stops"))

    async def _turn(self) -> bool:
        """Waits for a place in the budget of sessions; False: there is none soon."""
        ends = time.monotonic() + self._budgets.patience_s
        while wait_s := self._sessions_left.take(1, time.monotonic()):
            if time.monotonic() + wait_s > ends:
                return False
            # Those who wait do not all come back at the same moment.
            await asyncio.sleep(wait_s + self.random() * 0.2)
        return True

    async def _left(self, session: LiveSession) -> None:
        with contextlib.suppress(UnavailableError):  # the next session's fence says it again
            await self.book.left(session.identity, session.fence)

    async def _wake(self) -> None:
        while (due := self._changes.due) is not None:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not self._changes.settle(time.monotonic()):
                continue
            waking, self._to_wake = self._to_wake, {}
            for count, agent_id in enumerate(waking):
                if session := self._sessions.get(agent_id):
                    session.handle(ev.Woken())
                if count % _WAKE_AT_ONCE == _WAKE_AT_ONCE - 1:
                    await asyncio.sleep(0)
        self._waking = None
