"""The rate limits of workspaces and callers: a bucket each, in memory, bounded; the clock is
given."""

from collections import OrderedDict
from typing import Final

from headgate.master.ids import Clock

MOST: Final = 10_000
_MINUTE_MS: Final = 60_000


class Rates:
    """A token bucket for each workspace or caller; a full one holds the requests of a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_ms(self, key: str, per_minute: int) -> int:
        """Counts a request; returns how long it must wait, 0 if it may be carried out now."""
        now = self._clock()
        left, at = self._buckets.pop(key, (float(per_minute), now))
        left = min(per_minute, left + max(0, now - at) * per_minute / _MINUTE_MS)
        may = left >= 1
        self._buckets[key] = (left - 1 if may else left, now)
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        return 0 if may else max(1, round((1 - left) * _MINUTE_MS / per_minute))
