"""Counts latencies in the buckets of the config, overall and recent. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from headgate.plan.settings import LATENCY_BOUNDS_US


def seconds(bounds_us: Sequence[int]) -> tuple[float, ...]:
    """Returns bounds of the plan in seconds; each is the number closest to its decimal text.

    >>> seconds((300, 4_100_000))
    (0.0003, 4.1)
    """
    return tuple(us / 1_000_000 for us in bounds_us)


BOUNDS_S: Final = seconds(LATENCY_BOUNDS_US)
"""The default upper bounds of the buckets. nginx itself knows whole ms."""

_WINDOW_S: Final = 60.0


class Histogram:
    """Counts by bucket, the last one for values above every bound. `bounds_s` ascend and never
    change; `in_buckets` makes another one.
    """

    __slots__ = ("bounds_s", "counts", "sum_s")

    def __init__(self, bounds_s: tuple[float, ...] = BOUNDS_S) -> None:
        self.bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.sum_s = 0.0

    def record(self, seconds: float) -> None:
        """Adds one value."""
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        self.sum_s += seconds

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self.counts)

    def in_buckets(self, bounds_s: tuple[float, ...]) -> "Histogram":
        """Returns a copy with other bounds. Each value is in the smallest bucket that is sure to
        hold it, so that counts and sum stay, and so does a count of a bound that both have.
        """
        other = Histogram(bounds_s)
        for bound, count in zip((*self.bounds_s, float("inf")), self.counts, strict=True):
            other.counts[bisect_left(bounds_s, bound)] += count
        other.sum_s = self.sum_s
        return other

    def since(self, before: "Histogram") -> "Histogram":
        """Returns the values since an earlier copy, whose bounds may be others."""
        other = Histogram(self.bounds_s)
        moved = before.in_buckets(self.bounds_s)
        other.counts = [
            max(0, now - old) for now, old in zip(self.counts, moved.counts, strict=True)
        ]
        other.sum_s = self.sum_s - before.sum_s
        return other

    def quantile(self, q: float) -> float | None:
        """Returns the value, in seconds, below which the share `q` lies; None without values.

        It takes a bucket's values as evenly spread, and returns the last bound for values above it.
        """
        total = self.count
        if not total:
            return None
        rank, below, lower = q * total, 0, 0.0
        for count, bound in zip(self.counts, self.bounds_s, strict=False):
            if count and below + count >= rank:
                return lower + (bound - lower) * (rank - below) / count
            below += count
            lower = bound
        return lower


@dataclass(slots=True)
class _Reading:
    at_s: float = 0.0
    histogram: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class LatencyWindow:
    """Remembers earlier readings; its results cover the last minute or two."""

    older: _Reading = field(default_factory=_Reading)
    newer: _Reading = field(default_factory=_Reading)

    def read(self, now_s: float, histogram: Histogram) -> tuple[float, float]:
        """Returns (mean, 99th percentile) in ms at `now_s` (of any fixed clock); 0 without
        values.
        """
        if now_s - self.newer.at_s >= _WINDOW_S:
            self.older, self.newer = (
                self.newer,
                _Reading(now_s, histogram.in_buckets(histogram.bounds_s)),
            )
        lately = histogram.since(self.older.histogram)
        count = lately.count
        if not count:
            return 0.0, 0.0
        return lately.sum_s / count * 1000, (lately.quantile(0.99) or 0.0) * 1000
