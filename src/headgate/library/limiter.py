"""Limits how often something may be done, for each of many keys."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from headgate._core import RateTable
from headgate.library.ranges import within

_SEED_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of a limiter on one request."""

    allowed: bool
    """True if the request is within the limit; only then it was counted."""
    remaining: int
    """The number of further requests that would be within the limit, right now."""
    retry_after_s: float
    """The time that the request would have to wait; 0 if it was allowed."""
    full_after_s: float
    """The time until the key has its whole burst again, if it makes no request."""


@dataclass(frozen=True, kw_only=True)
class RateLimiter(RateTable):
    """The generic cell rate algorithm (ITU-T I.371) over a table that never grows. For any thread.

    A key is any text; addresses count as clients do, IPv6 by its first 64 bits. A key whose debt is
    paid takes no room. A copy, or what pickle restores, counts by itself.

    >>> limiter = RateLimiter(requests=10, per_s=1, burst=2, clock=lambda: 5.0)
    >>> [limiter.check("ann") for _ in range(3)], limiter.check("bob")
    ([True, True, False], True)
    >>> limiter.decide("ann").retry_after_s
    0.1
    """

    requests: int
    """The number of requests that are allowed in `per_s`, 1 to 1,000,000."""
    per_s: float = 1.0
    """The period, a second to a day."""
    burst: int = 1
    """The number of requests allowed at once, 1 to 1,000,000; a cost above it is never allowed."""
    keys: int = 100_000
    """The number of keys that may owe something at once, 8 to 134,217,728: the table has its size
    from the beginning, and forgets debts when it is full of them (`evictions`)."""
    clock: Callable[[], float] | None = None
    """Seconds of a monotonic clock, from 0 up; None is the core's own."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for a number outside its range."""
        within("requests", self.requests, 1, 1_000_000)
        within("per_s", self.per_s, 1, 86_400)
        within("burst", self.burst, 1, 1_000_000)
        within("keys", self.keys, 8, 1 << 27)

    def decide(self, key: str, cost: int = 1) -> Decision:
        """Does what `check` does, and says more."""
        allowed, remaining, wait_us, full_us = self._decide(key, cost)
        return Decision(allowed, remaining, wait_us / 1e6, full_us / 1e6)

    @property
    def _seed(self) -> tuple[int, int]:
        return random.getrandbits(_SEED_BITS), random.getrandbits(_SEED_BITS)

    def __getstate__(self) -> dict[str, object]:
        """Returns the limits: what they counted stays in the core."""
        return dict(vars(self))
