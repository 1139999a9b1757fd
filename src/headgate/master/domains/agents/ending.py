"""Counts the orders to upgrade that agents ended, and how long they took for them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from headgate.kernel.durations import SLOW_S, Durations
from headgate.master.domains.agents.upgrading import Ended

RESULTS: Final = ("done", "failed")


@dataclass
class EndedUpgrades:
    """The counts since this master started."""

    results: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(RESULTS, 0)))
    durations: Durations = field(default_factory=lambda: Durations(SLOW_S))

    def add(self, ends: Iterable[tuple[Ended, int | None]], now_ms: int) -> None:
        """Counts orders that ended; the number of each is when it was given, or little later."""
        for end, order in ends:
            self.results["failed" if end.error else "done"] += 1
            if order is not None:
                self.durations.record((now_ms - order) / 1_000)
