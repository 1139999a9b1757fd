"""Decides when the next apply begins: debounce, least interval, budget;
the latest wish wins. Pure.

Every reload costs a generation of workers that drains, so it gathers wishes: a change of endpoints
alone waits for more of its kind, others wait briefly, and none waits for ever.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
_BUDGET_S = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Times in seconds. `per_minute`: applies begun in any 60 s, at most.

    Between the end of an apply and the next begin lie at least `interval_s`, and `interval_applies`
    times what the last one took, of which no more than `longest_interval_s`.
    """

    debounce_s: float = 0.1
    endpoints_debounce_s: float = 1.0
    longest_debounce_s: float = 5.0
    interval_s: float = 0.0
    interval_applies: float = 3.0
    longest_interval_s: float = 1.0
    per_minute: int = 20


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    """The latest wish; its times and its urgency are also those of the wishes that it replaced."""

    wish: T
    first_at: float
    last_at: float
    debounce_s: float
    is_urgent: bool


class Schedule(Generic[T]):
    """A mailbox of one. Times are monotonic seconds."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._waiting: _Waiting[T] | None = None
        self._is_busy = False
        self._free_at = 0.0
        self._begun: deque[float] = deque()

    def offer(
        self, wish: T, now: float, *, endpoints_only: bool = False, urgent: bool = False
    ) -> T | None:
        """Takes a wish; returns the one that it replaces.

        `urgent` (a person asks, a credential was revoked): as soon as nothing runs.
        """
        was = self._waiting
        wanted = self._pace.endpoints_debounce_s if endpoints_only else self._pace.debounce_s
        if was is None:
            self._waiting = _Waiting(wish, now, now, wanted, urgent)
            return None
        debounce_s, is_urgent = min(was.debounce_s, wanted), was.is_urgent or urgent
        self._waiting = _Waiting(wish, was.first_at, now, debounce_s, is_urgent)
        return was.wish

    def due(self, now: float) -> float | None:
        """Returns when `take` will return a wish; None while there is none, or one is at work."""
        waiting = self._waiting
        if waiting is None or self._is_busy:
            return None
        if waiting.is_urgent:
            return now
        settled = waiting.last_at + waiting.debounce_s
        longest = waiting.first_at + max(self._pace.longest_debounce_s, waiting.debounce_s)
        return max(min(settled, longest), self._free_at, self._budget_at(now))

    def take(self, now: float) -> T | None:
        """Returns the wish that is due; it is at work until `finished`."""
        waiting, at = self._waiting, self.due(now)
        if waiting is None or at is None or at > now:
            return None
        self._waiting = None
        self._is_busy = True
        self._begun.append(now)
        return waiting.wish

    def finished(self, began: float, now: float) -> None:
        """Ends the wish that is at work."""
        self._is_busy = False
        pace = self._pace
        after = min(pace.interval_applies * (now - began), pace.longest_interval_s)
        least = max(pace.interval_s, after)
        self._free_at = now + least

    def used(self, now: float) -> int:
        """Returns the number of applies begun in the last minute."""
        while self._begun and self._begun[0] <= now - _BUDGET_S:
            self._begun.popleft()
        return len(self._begun)

    def _budget_at(self, now: float) -> float:
        if self.used(now) < self._pace.per_minute:
            return now
        return self._begun[len(self._begun) - self._pace.per_minute] + _BUDGET_S
