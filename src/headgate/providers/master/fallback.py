"""Which way to dial first: the one that worked last, else the first one. Pure."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
C = TypeVar("C")


class LinkError(ConnectionError):
    """The connection could not be made, or ended; the message says why."""


class Fallback(Generic[A, C]):
    """Ways to a master, the best one first; after a while it tries that one again."""

    def __init__(
        self, ways: Sequence[Callable[[A], Awaitable[C]]], *, again_after: int = 20
    ) -> None:
        """Each of `ways` returns an open connection, or raises LinkError; `again_after` is
        how many connections go by another way before the best one has its turn again."""
        self._ways = tuple(ways)
        self._first = 0
        self._since = 0
        self._again_after = again_after

    async def __call__(self, who: A) -> C:
        """Returns a connection by the first way that passes. Raises LinkError with what every
        one of them said."""
        if self._first and self._since >= self._again_after:
            self._first = self._since = 0
        self._since += 1
        said: list[str] = []
        count = len(self._ways)
        for number in ((self._first + step) % count for step in range(count)):
            try:
                connection = await self._ways[number](who)
            except LinkError as error:
                said.append(str(error))
                continue
            if number != self._first:
                self._first, self._since = number, 0
            return connection
        raise LinkError("; ".join(said))
