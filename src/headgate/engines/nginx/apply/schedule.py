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


class Schedule(Generic[T]):
    """A mailbox of one. Times are monotonic seconds."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._wish: T | None = None
        self._first_at = 0.0
        self._last_at = 0.0
        self._debounce_s = 0.0
        self._is_urgent = False
        self._is_busy = False
        self._free_at = 0.0
        self._begun: deque[float] = deque()

    def offer(
        self, wish: T, now: float, *, endpoints_only: bool = False, urgent: bool = False
    ) -> T | None:
        """Takes a wish; returns the one that it replaces.

        `urgent` (a person asks, a credential was revoked): as soon as nothing runs.
        """
        replaced = self._wish
        wanted = self._pace.endpoints_debounce_s if endpoints_only else self._pace.debounce_s
        if replaced is None:
            self._first_at, self._debounce_s, self._is_urgent = now, wanted, urgent
        self._debounce_s = min(self._debounce_s, wanted)
        self._is_urgent = self._is_urgent or urgent
        self._wish, self._last_at = wish, now
        return replaced

    def due(self, now: float) -> float | None:
        """Returns when `take` will return a wish; None while there is none, or one is at work."""
        if self._wish is None or self._is_busy:
            return None
        if self._is_urgent:
            return now
        pace = self._pace
        settled = self._last_at + self._debounce_s
        longest = self._first_at + max(pace.longest_debounce_s, self._debounce_s)
        return max(min(settled, longest), self._free_at, self._budget_at(now))

    def take(self, now: float) -> T | None:
        """Returns the wish that is due; it is at work until `finished`."""
        at = self.due(now)
        if at is None or at > now:
            return None
        wish, self._wish = self._wish, None
        self._is_busy = True
        self._begun.append(now)
        return wish

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
