"""Counts latencies in the buckets of our own engine, overall and recent. Pure."""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

BOUNDS_S: Final[tuple[float, ...]] = (
    *(0.0001, 0.0002, 0.0003, 0.0005, 0.00075),
    *(0.001, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.2, 0.3, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 60.0),
)
"""Upper bounds of the buckets; the engine's `LATENCY_BOUNDS_US`. nginx itself knows whole ms."""

_WINDOW_S: Final = 60.0


class Histogram:
    """Counts by bucket, the last one for values above every bound."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def record(self, seconds: float) -> None:
        """Adds one value."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    @property
    def count(self) -> int:
        """The number of values."""
        return sum(self.counts)

    def copy(self) -> "Histogram":
        """Returns a copy."""
        other = Histogram()
        other.counts = list(self.counts)
        other.sum_s = self.sum_s
        return other

    def since(self, before: "Histogram") -> "Histogram":
        """Returns the values since an earlier copy."""
        other = Histogram()
        other.counts = [now - old for now, old in zip(self.counts, before.counts, strict=True)]
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
        for count, bound in zip(self.counts, BOUNDS_S, strict=False):
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
            self.older, self.newer = self.newer, _Reading(now_s, histogram.copy())
        lately = histogram.since(self.older.histogram)
        count = lately.count
        if not count:
            return 0.0, 0.0
        return lately.sum_s / count * 1000, (lately.quantile(0.99) or 0.0) * 1000
