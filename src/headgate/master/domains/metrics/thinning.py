"""Rules for the slots of figures: how long each is kept, and how short ones become long ones. Pure.

| slots of | for        | at most, per node |
|----------|------------|-------------------|
| 15 s     | one hour   | 244               |
| 1 min    | six hours  | 365               |
| 5 min    | 24 hours   | 290               |
"""

from collections.abc import Iterable
from typing import Final, NamedTuple, TypeVar

from headgate.master.domains.metrics.growth import KEPT_MS, LONG_MS, SHORT_MS, Slot
from headgate.master.domains.metrics.tally import Tally, added

MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
MOST_ROWS: Final = 244 + 365 + 290
"""Slots of one node that there are at once, at most, while every minute is thinned."""


class Level(NamedTuple):
    """Slots of one length become slots of another after some time. Milliseconds."""

    length: int
    into: int
    after: int


LEVELS: Final = (
    Level(SHORT_MS, MINUTE_MS, _HOUR_MS),
    Level(MINUTE_MS, LONG_MS, 6 * _HOUR_MS),
)

LENGTHS: Final = (SHORT_MS, MINUTE_MS, LONG_MS)

K = TypeVar("K")


def due(level: Level, now_ms: int) -> int:
    """Returns the time before which slots of a level are to become longer ones: whole ones only,
    so that nothing that is thinned later falls into the same."""
    return (now_ms - level.after) // level.into * level.into


def gone(now_ms: int) -> int:
    """Returns the time before which slots are kept no longer."""
    return now_ms - KEPT_MS


def merged(rows: Iterable[tuple[K, Slot, Tally]], length: int) -> dict[tuple[K, Slot], Tally]:
    """Returns the sums by owner and slot of this length."""
    groups: dict[tuple[K, Slot], list[Tally]] = {}
    for owner, slot, tally in rows:
        key = (owner, Slot(length, slot.at // length * length))
        groups.setdefault(key, []).append(tally)
    return {key: added(tallies) for key, tallies in groups.items()}
