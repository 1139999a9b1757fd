"""Applies in an event loop: one at a time, the latest wish wins, the budget is kept.

An apply blocks and runs in a thread of its own.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from headgate.engines.nginx.apply.applier import Applier
from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.evidence import Probe
from headgate.engines.nginx.apply.results import Rejected, Result
from headgate.engines.nginx.apply.schedule import Pace, Schedule
from headgate.engines.nginx.common.types import Generation, Rendered

LONG_S: Final = 2.0
"""A longer wait than this is reported."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A plan to serve: how to render it for a generation, and how urgent it is.

    `applied` is called in the event loop once nginx was told to serve it, before that is proven.
    """

    render: Callable[[Generation], Rendered]
    plan_digest: str = ""
    probes: tuple[Probe, ...] = ()
    endpoints_only: bool = False
    urgent: bool = False
    applied: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True)
class _Waiting:
    wish: Wish
    ended: asyncio.Future[Result]
    since: float


@dataclass(slots=True)
class Figures:
    """The figures that metrics show of applies since the start."""

    applied: int = 0
    rejected: int = 0
    superseded: int = 0
    last: Result | None = None
    degraded: bool = False
    by_cause: dict[str, int] = field(default_factory=dict)
    waited_s: float = 0.0
    """The time that the wish taken last had waited."""

    def count(self, result: Result) -> None:
        """Counts one more apply that has ended."""
        self.last = result
        if isinstance(result, Rejected):
            self.rejected += 1
            code = result.cause.code
            self.by_cause[code] = self.by_cause.get(code, 0) + 1
            self.degraded = result.is_degraded or (self.degraded and result.serving is None)
            return
        self.applied += 1
        self.degraded = False


class Front:
    """The mailbox of one nginx. Nothing happens unless `run` is running."""

    def __init__(self, applier: Applier, pace: Pace | None = None) -> None:
        self.on_wait: Callable[[float], object] = lambda _seconds: None
        self.figures = Figures()
        self._applier = applier
        self._schedule: Schedule[_Waiting] = Schedule(pace or Pace())
        self._changed = asyncio.Event()
        self._has_told = False
        self._begins_at: float | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nginx-apply")

    async def apply(self, wish: Wish) -> Result:
        """Has a plan served and returns the result.
        A later wish replaces one that has not begun.

        Cancelling the caller does not stop an apply that has begun.
        """
        ended: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        now = time.monotonic()
        replaced = self._schedule.offer(
            _Waiting(wish, ended, now),
            now,
            endpoints_only=wish.endpoints_only,
            urgent=wish.urgent,
        )
        if replaced is not None:
            self.figures.superseded += 1
            finding = Finding("superseded", "a later plan took its place", is_transient=True)
            _resolve(replaced.ended, Rejected(0, "fetch", finding, (finding,)))
        self._changed.set()
        return await ended

    def waits_s(self) -> float:
        """Returns how long the next apply still waits to begin, 0 if none waits. Any thread."""
        at = self._begins_at
        return 0.0 if at is None else max(at - time.monotonic(), 0.0)

    async def recover(self) -> Result | None:
        """Returns what `Applier.recover` does, without blocking the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._applier.recover)

    async def run(self) -> None:
        """Works until cancelled; waits for an apply that has begun."""
        try:
            while True:
                self._changed.clear()
                due = self._schedule.due(time.monotonic())
                if due is None:
                    await self._changed.wait()
                    continue
                delay = due - time.monotonic()
                if delay > 0:
                    self._begins_at = due
                    self._tell_wait(delay)
                    await self._pause(delay)
                    continue
                self._begins_at = None
                await self._work()
        finally:
            self._thread.shutdown(wait=True)

    def _tell_wait(self, delay: float) -> None:
        """Reports a long wait, once."""
        if delay > LONG_S and not self._has_told:
            self._has_told = True
            self.on_wait(delay)

    async def _pause(self, delay: float) -> None:
        try:
            async with asyncio.timeout(delay):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _work(self) -> None:
        began = time.monotonic()
        waiting = self._schedule.take(began)
        if waiting is None:
            return
        wish = waiting.wish
        self._has_told = False
        self.figures.waited_s = began - waiting.since

        loop = asyncio.get_running_loop()

        def apply() -> Result:
            return self._applier.apply(
                wish.render,
                plan_digest=wish.plan_digest,
                probes=wish.probes,
                applied=lambda: loop.call_soon_threadsafe(wish.applied),
            )

        try:
            result = await loop.run_in_executor(self._thread, apply)
        except Exception as error:  # the caller must get it
            if not waiting.ended.done():
                waiting.ended.set_exception(error)
        else:
            self.figures.count(result)
            _resolve(waiting.ended, result)
        finally:
            self._schedule.finished(began, time.monotonic())


def _resolve(ended: asyncio.Future[Result], result: Result) -> None:
    if not ended.done():
        ended.set_result(result)
