"""Latencies of many nodes in the same buckets, so that they can be added up. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from headgate.fleet.frames import Latency

BOUNDS_S: Final[tuple[float, ...]] = (
    *(0.0001, 0.0002, 0.0003, 0.0005, 0.00075),
    *(0.001, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.2, 0.3, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 60.0),
)
"""Upper bounds in seconds; those of both engines. One more bucket is for what is above all."""
BUCKETS: Final = len(BOUNDS_S) + 1


def in_buckets(latency: Latency) -> tuple[int, ...]:
    """Returns the counts by `BOUNDS_S`. What is in a bucket of another bound counts as if it took
    as long as that bound: later than it was, never earlier.

    >>> in_buckets(Latency((0.0004, 60.0), (5, 2, 1)))[3], in_buckets(Latency((9.0,), (1, 4)))[-1]
    (5, 4)
    """
    counts = [0] * BUCKETS
    for bound, count in zip((*latency.bounds_s, float("inf")), latency.counts, strict=True):
        counts[bisect_left(BOUNDS_S, bound)] += count
    return tuple(counts)


def quantile_s(counts: Sequence[int], q: float) -> float | None:
    """Returns in how many seconds a share `q` of the answers (0 to 1) was done, at most; None
    without any. What is above every bound counts as the last one.

    >>> quantile_s([0, 99, 1], 0.5), quantile_s([0, 99, 1], 0.995), quantile_s([], 0.5)
    (0.0002, 0.0003, None)
    """
    wanted = q * sum(counts)
    if wanted <= 0:
        return None
    reached = 0
    for bound, count in zip(BOUNDS_S, counts, strict=False):
        reached += count
        if reached >= wanted:
            return bound
    return BOUNDS_S[-1]
