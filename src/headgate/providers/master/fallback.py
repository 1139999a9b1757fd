"""Chooses the way to dial first: the one that worked last, else the first one.

A way that neither passes nor fails, as behind a firewall that drops packets, gets a head start;
then the next one is tried beside it, as addresses are in RFC 8305 (Happy Eyeballs).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

HEAD_START_S: Final = 2.0


class LinkError(ConnectionError):
    """The connection could not be made, or ended; the message says why."""


class Link(Protocol):
    """A connection that a way opens."""

    async def close(self) -> None:
        """Ends it."""
        ...


A = TypeVar("A")
C = TypeVar("C", bound=Link)


class Fallback(Generic[A, C]):
    """Ways to a master, the best one first; after a while it tries that one again."""

    def __init__(
        self,
        ways: Sequence[Callable[[A], Awaitable[C]]],
        *,
        again_after: int = 20,
        head_start_s: float = HEAD_START_S,
    ) -> None:
        """Each of `ways` returns an open connection, or raises LinkError; `again_after` is
        how many connections go by another way before the best one has its turn again."""
        self._ways = tuple(ways)
        self._first = 0
        self._since = 0
        self._again_after = again_after
        self._head_start_s = head_start_s

    async def __call__(self, who: A) -> C:
        """Returns a connection by the first way that passes. Raises LinkError with what every
        one of them said."""
        if self._first and self._since >= self._again_after:
            self._first = self._since = 0
        self._since += 1
        count = len(self._ways)
        order = [(self._first + step) % count for step in range(count)]
        number, connection = await _Race(self._ways, who).run(order, self._head_start_s)
        if number != self._first:
            self._first, self._since = number, 0
        return connection


class _Race(Generic[A, C]):
    """One dialling: the ways under way, and what those that failed said."""

    def __init__(self, ways: Sequence[Callable[[A], Awaitable[C]]], who: A) -> None:
        self._ways = ways
        self._who = who
        self._running: dict[asyncio.Future[C], int] = {}
        self._said: list[str] = []

    async def run(self, order: Sequence[int], head_start_s: float) -> tuple[int, C]:
        """Returns the way that passed, and its connection; the others have ended then."""
        try:
            for place, number in enumerate(order, start=1):
                self._running[asyncio.ensure_future(self._ways[number](self._who))] = number
                found = await self._passed(head_start_s if place < len(order) else None)
                if found is not None:
                    return found
            raise LinkError("; ".join(self._said))
        finally:
            await self._end()

    async def _passed(self, within_s: float | None) -> tuple[int, C] | None:
        """Returns what passed; None once all have failed, or when the time is over."""
        loop = asyncio.get_running_loop()
        end = None if within_s is None else loop.time() + within_s
        while self._running:
            left = None if end is None else max(0.0, end - loop.time())
            done, _ = await asyncio.wait(
                self._running, timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                return None
            for way in [one for one in self._running if one in done]:
                number = self._running.pop(way)
                try:
                    return number, way.result()
                except LinkError as error:
                    self._said.append(str(error))
        return None

    async def _end(self) -> None:
        """Ends what is under way, and closes what passed too late."""
        for way in self._running:
            way.cancel()
        for late in await asyncio.gather(*self._running, return_exceptions=True):
            if not isinstance(late, BaseException):
                await late.close()
