"""The times that the newest revision took to reach every agent."""

from collections.abc import Sequence
from dataclasses import dataclass

from headgate.fleet.frames import Phase
from headgate.master.fleet.memory_book import MemoryBook


@dataclass(frozen=True, slots=True)
class Timings:
    """Counts of agents, and seconds from publishing: the median, 99 of 100, and the last."""

    revision: int
    connected: int
    acknowledged: int
    serving: int
    acknowledged_s: tuple[float, float, float] | None
    serving_s: tuple[float, float, float] | None

    @classmethod
    def of(cls, book: MemoryBook) -> "Timings":
        """Returns those of what is wanted now."""
        revision = book.wanted_revision
        there = [one for one in book.agents.values() if one.is_connected]
        at = [one.at for one in there if one.revision == revision]
        received = sorted(
            one[Phase.RECEIVED] - book.published_at for one in at if Phase.RECEIVED in one
        )
        serving = sorted(
            one[Phase.SERVING] - book.published_at for one in at if Phase.SERVING in one
        )
        return cls(
            revision, len(there), len(received), len(serving), _shape(received), _shape(serving)
        )


def _shape(times: Sequence[float]) -> tuple[float, float, float] | None:
    """Returns p50, p99 and the last of sorted times; None: there are none."""
    if not times:
        return None
    last = len(times) - 1
    return times[last // 2], times[last * 99 // 100], times[last]
