"""Decides how long to wait before a child starts again. Pure."""

from __future__ import annotations


class Backoff:
    """No wait the first time, then `base_s` doubling up to `max_s`.

    A child that lived for `calm_s` seconds, or that did its work, clears the record.
    """

    def __init__(self, base_s: float, max_s: float, calm_s: float) -> None:
        self._base_s = base_s
        self._max_s = max_s
        self._calm_s = calm_s
        self._failures = 0
        self._started = 0.0

    @property
    def failures(self) -> int:
        """Deaths in a row, none of them after a calm life."""
        return self._failures

    def started(self, now: float) -> None:
        """Records that the child was started at `now` (monotonic seconds)."""
        self._started = now

    def worked(self) -> None:
        """Records that the child does its work, so that it can start."""
        self._failures = 0

    def died(self, now: float) -> float:
        """Records a death at `now`; returns the seconds until the next start."""
        if now - self._started >= self._calm_s:
            self._failures = 0
        self._failures += 1
        if self._failures == 1:
            return 0.0
        doublings = min(self._failures - 2, 30)
        return min(self._max_s, self._base_s * float(1 << doublings))
