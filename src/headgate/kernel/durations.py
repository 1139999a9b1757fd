"""Counts how long things took, in buckets. Not for several threads."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from headgate.kernel.openmetrics import Buckets

QUICK_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds for what a machine does, in seconds."""
SLOW_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
"""Bounds for what a fleet does."""


class Durations:
    """Counts of durations that were longer than one bound and at most as long as the next one."""

    def __init__(self, bounds: Sequence[float] = QUICK_S) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def record(self, seconds: float) -> None:
        """Counts one; less than nothing, as after a clock was set back, counts as nothing."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._total += seconds

    def buckets(self) -> Buckets:
        """Returns what was counted until now."""
        return Buckets(self._bounds, tuple(self._counts), self._total)
