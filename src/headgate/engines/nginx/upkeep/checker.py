"""Has nginx leave out the endpoints that health checks or operators take out."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Final

from headgate.engines.nginx.checks.known import KnownHealth
from headgate.engines.nginx.checks.orders import WORDS, KeptOrders
from headgate.engines.nginx.checks.outliers import ended
from headgate.engines.nginx.checks.rounds import Rounds, clock_ms
from headgate.engines.nginx.checks.table import Healths, HealthTable
from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.health.background import kept_up
from headgate.engines.nginx.health.told import Tell
from headgate.engines.nginx.observe.observer import POLL_S
from headgate.engines.nginx.observe.traffic import Traffic
from headgate.kernel.ids import BlobId
from headgate.plan.plan import Plan

_SETTLE_S: Final = 0.2
"""So long changes are gathered: endpoints often fail together, and each reload costs workers."""

_AGAIN_S: Final = 5.0
_REMEMBER_S: Final = 1.0
_MINUTE_S: Final = 60.0

Apply = Callable[[], Awaitable[str]]
"""Has nginx serve the plan again; returns why it does not, empty when it does."""


class Checker:
    """The health of the endpoints that one engine serves; `reloads` are when it caused some."""

    def __init__(self, engine: NginxEngine, tell: Tell, apply: Apply) -> None:
        """Reads the orders that are kept. Raises OSError."""
        self._engine = engine
        self._tell = tell
        self._apply = apply
        self._kept = KeptOrders(engine.root)
        self._table = HealthTable(tell, clock_ms, lambda: secrets.randbits(64))
        self._table.orders = self._kept.read()
        self._known = KnownHealth(engine.root)
        self._table.known = self._known.read()
        self._moved = asyncio.Event()
        self._rounds = Rounds(self._table, self._moved.set)
        self.reloads: deque[float] = deque()
        self._problem = ""
        self._traffic: Traffic | None = None
        engine.out = self._table.out

    def health(self) -> Healths:
        """Returns what is known of every endpoint that is served. Any thread."""
        return self._table.told()

    def serve(self, plan: Plan, blobs: Mapping[BlobId, bytes]) -> None:
        """Takes over a plan that nginx serves now."""
        self._table.serve(plan, self._engine.addresses)
        self._rounds.serve(plan, blobs)
        if self._traffic is not None:
            self._traffic.watched = self._table.ejecting
        self._moved.set()

    def tasks(self) -> list[Coroutine[object, object, None]]:
        """Returns what runs as long as nginx is driven."""
        works = {
            "the checks of endpoints": self._rounds.run,
            "what follows the health of endpoints": self._follow,
            "what looks for outliers": self._follow_log,
            "what keeps the health of endpoints": self._remember,
        }
        return [kept_up(what, work, self._tell) for what, work in works.items()]

    def listen(self, traffic: Traffic) -> None:
        """Begins to take in what the access log says of requests."""
        self._traffic = traffic

    async def order(self, upstream: str, address: str, order: str) -> str:
        """Keeps an operator's order and puts it in force; returns why it cannot."""
        if order not in WORDS:
            return f"`{order}` is not a state; write `ready`, `drain` or `maintenance`"
        if self._engine.settings.imported is not None:
            return (
                "the imported config runs as it is; write `down` behind the server in the kept "
                "text, and reload"
            )
        known = dict(self._table.orders)
        is_ended = order == "ready" and (upstream, address) in known
        if not is_ended and (why := self._table.find(upstream, address)):
            return why
        known.pop((upstream, address), None)
        if order != "ready":
            known[upstream, address] = order
        try:
            await asyncio.to_thread(self._kept.write, known)
        except OSError as error:
            return f"the order cannot be kept: {error}"
        self._table.order(upstream, address, order)
        why = await self._put_in_force()
        return f"the order is kept, but nginx does not follow it yet: {why}" if why else ""

    async def _follow(self) -> None:
        """Has nginx follow every change, until cancelled."""
        while True:
            await self._moved.wait()
            await asyncio.sleep(_SETTLE_S)
            self._moved.clear()
            if not self._differs():
                continue
            await asyncio.sleep(self.wait_s())
            try:
                why = await self._put_in_force()
            except Exception as error:
                # Whatever the error, what was found must not be forgotten.
                why = str(error) or type(error).__name__
            if why != self._problem:
                self._problem = why
                said = why or "it follows the health of endpoints again"
                level = "error" if why else "info"
                self._tell(level, "nginx.endpoints", f"the health of endpoints: {said}", {})
            if why:
                await asyncio.sleep(_AGAIN_S)
                self._moved.set()

    async def _follow_log(self) -> None:
        """Takes in how requests ended, until cancelled."""
        while True:
            await asyncio.sleep(POLL_S)
            kept = self._traffic.kept if self._traffic is not None else None
            read_ms, changed = clock_ms(), False
            while kept:
                hit = kept.popleft()
                for one in ended(hit, read_ms):
                    changed |= self._table.ended(hit.upstream, one)
            if changed:
                self._moved.set()

    async def _remember(self) -> None:
        """Keeps what checks concluded for the next process, until cancelled."""
        while True:
            await asyncio.sleep(_REMEMBER_S)
            if not self._table.known:  # else nothing is served yet
                await asyncio.to_thread(self._known.write, self._table.concluded())

    async def _put_in_force(self) -> str:
        """Has nginx leave out what is out now; returns why it does not."""
        if not self._differs():
            return ""
        before = self._engine.front.figures.applied
        why = await self._apply()
        if self._engine.front.figures.applied != before:
            self.reloads.append(time.monotonic())
        return why

    def _differs(self) -> bool:
        """Reports whether nginx sends requests to others than it should; not of an import, whose
        text runs as it is.
        """
        if self._engine.settings.imported is not None:
            return False
        return self._table.served_out() != self._engine.served_out

    def wait_s(self) -> float:
        """Returns how long the next reload waits: checks take half of the reloads at most."""
        most = max(self._engine.settings.reloads_per_minute // 2, 1)
        now = time.monotonic()
        while self.reloads and self.reloads[0] <= now - _MINUTE_S:
            self.reloads.popleft()
        if len(self.reloads) < most:
            return 0.0
        return self.reloads[-most] + _MINUTE_S - now
