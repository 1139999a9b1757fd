"""Limits of rates and amounts: token buckets, back-off with jitter, debounce. Clock and randomness
are passed in; seconds are monotonic."""

from collections.abc import Callable
from typing import TypeAlias

Random: TypeAlias = Callable[[], float]
"""Returns a number from 0 up to, but not including, 1."""

RECONNECT_FIRST_S, RECONNECT_LAST_S = 1.0, 60.0
RETRY_FIRST_S, RETRY_LAST_S = 5.0, 300.0
QUIET_S, LONGEST_S = 0.1, 5.0
AGE_S, AGE_SPREAD = 1800.0, 0.2


class TokenBucket:
    """Allows `rate` a second, and `burst` at once after a pause."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None

    def take(self, amount: float, now: float) -> float:
        """Takes `amount` and returns 0, or takes nothing and returns the seconds until it can be
        had. More than `burst` can be had once the bucket is full; the debt is paid off later.
        """
        since = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        self._tokens = min(self._burst, self._tokens + since * self._rate)
        needed = min(amount, self._burst)
        if self._tokens < needed:
            return (needed - self._tokens) / self._rate
        self._tokens -= amount
        return 0.0


class Jitter:
    """Full jitter: waits anything up to a limit that doubles from 1 s to 60 s."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._limit_s = RECONNECT_FIRST_S

    def wait_s(self) -> float:
        """Returns the next wait."""
        limit_s = self._limit_s
        self._limit_s = min(RECONNECT_LAST_S, limit_s * 2)
        return self._random() * limit_s

    def reset(self) -> None:
        """Starts over, after a session that lasted."""
        self._limit_s = RECONNECT_FIRST_S


class Backoff:
    """5 s, doubling up to 5 min."""

    def __init__(self) -> None:
        self._next_s = RETRY_FIRST_S

    def wait_s(self) -> float:
        """Returns the next wait."""
        wait_s = self._next_s
        self._next_s = min(RETRY_LAST_S, wait_s * 2)
        return wait_s

    def reset(self) -> None:
        """Starts over."""
        self._next_s = RETRY_FIRST_S


class Debounce:
    """Collects what comes at short intervals: due after 100 ms of quiet, 5 s after the first at
    the latest."""

    def __init__(self, quiet_s: float = QUIET_S, longest_s: float = LONGEST_S) -> None:
        self._quiet_s = quiet_s
        self._longest_s = longest_s
        self._first: float | None = None
        self.due: float | None = None

    def touch(self, now: float) -> None:
        """Something came."""
        if self._first is None:
            self._first = now
        self.due = min(now + self._quiet_s, self._first + self._longest_s)

    def settle(self, now: float) -> bool:
        """Says whether it is due, and starts over if so."""
        if self.due is None or now < self.due:
            return False
        self._first = self.due = None
        return True


def age_s(random: Random) -> float:
    """Returns how long a connection may last: 30 min ± 20 %, so that masters share agents anew."""
    return AGE_S * (1 + AGE_SPREAD * (2 * random() - 1))
