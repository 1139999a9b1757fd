"""Keeps a workspace or caller that asks for much from slowing down the others: turns, quick
refusals, pauses before them, and places for what lasts. In memory, bounded; knows nothing of
requests.
"""

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from headgate.master.ids import Clock

AT_ONCE: Final = 4
"""Requests of a workspace that are carried out at a time; the others wait in its own line."""
LONGEST_S: Final = 1.0
"""The time after which a request gives its turn to the next one and goes on beside it: one that
waits for agents, such as a search of logs, must not hold up the others of its workspace."""
PAUSE_S: Final = 0.25
MOST_PAUSING: Final = 200
"""Refusals that wait at a time: less than the connections that the master takes, of which a client
that leaves without its answer may not use up more."""
MOST_REFUSED: Final = 10_000


@dataclass(slots=True)
class _Line:
    """The requests of a workspace that have a turn or wait for one."""

    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    count: int = 0


class _Turn:
    """A request's turn, which it gives back once: when it ends, or at the end of its time."""

    def __init__(self, free: asyncio.Semaphore, longest_s: float) -> None:
        self._free = free
        self._is_over = False
        self._timer = asyncio.get_running_loop().call_later(longest_s, self.give_back)

    def give_back(self) -> None:
        """Lets the next request of the line go on."""
        if not self._is_over:
            self._is_over = True
            self._timer.cancel()
            self._free.release()


class Turns:
    """A line for each workspace that has requests under way, and for each caller with requests to
    what belongs to none. Belongs to one event loop."""

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        self._longest_s = longest_s
        self._lines: dict[str, _Line] = {}

    @contextlib.asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Waits for a turn in the line of a workspace or caller (its id), and keeps it for the
        block; those of nobody, with an empty key, wait for none."""
        if not key:
            yield
            return
        line = self._lines.setdefault(key, _Line())
        line.count += 1
        try:
            await line.free.acquire()
            turn = _Turn(line.free, self._longest_s)
            try:
                yield
            finally:
                turn.give_back()
        finally:
            line.count -= 1
            if not line.count:
                del self._lines[key]


class _Refusal(NamedTuple):
    at_ms: int
    until_ms: int
    per_minute: int


class Refusals:
    """Remembers who was refused until when, so that the next refusals read no database."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: OrderedDict[str, _Refusal] = OrderedDict()

    def add(self, key: str, wait_ms: int, per_minute: int) -> None:
        """Refuses `key` for so long, because the limit is `per_minute`."""
        self._until.pop(key, None)
        now = self._clock()
        self._until[key] = _Refusal(now, now + wait_ms, per_minute)
        if len(self._until) > MOST_REFUSED:
            self._until.popitem(last=False)

    def left(self, key: str) -> tuple[int, int]:
        """Returns how long `key` is still refused, in ms, and the limit; 0 if it is not."""
        refusal, now = self._until.get(key), self._clock()
        if refusal is None:
            return 0, 0
        if not refusal.at_ms <= now < refusal.until_ms:  # it is over, or the clock was set back
            del self._until[key]
            return 0, 0
        return refusal.until_ms - now, refusal.per_minute

    def forget(self) -> None:
        """Asks the database again at the next request of everybody: a limit has changed."""
        self._until.clear()


class Pauses:
    """Has clients that are refused wait for the answer: who sends the next request only after it
    sends few. Belongs to one event loop."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self.pause_s = pause_s
        self._waiting = 0

    async def pause(self) -> None:
        """Waits, unless too many wait already."""
        if self._waiting >= MOST_PAUSING:
            return
        self._waiting += 1
        try:
            await asyncio.sleep(self.pause_s)
        finally:
            self._waiting -= 1


class NoPlaceError(Exception):
    """All places are taken, or all that one of their takers may have."""

    def __init__(self, *, is_own_fault: bool) -> None:
        super().__init__("no place is free")
        self.is_own_fault = is_own_fault
        """True if the one who asks has so many already."""


class Places:
    """Counts those who stay for some time, in all and of each key."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._taken: Counter[str] = Counter()
        self._count = 0

    @contextlib.contextmanager
    def taken(self, key: str) -> Iterator[None]:
        """Takes a place for the block; raises NoPlaceError if none is free."""
        if self._taken[key] >= self._most_of_one:
            raise NoPlaceError(is_own_fault=True)
        if self._count >= self._most:
            raise NoPlaceError(is_own_fault=False)
        self._taken[key] += 1
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
