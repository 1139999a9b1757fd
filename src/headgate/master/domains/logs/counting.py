"""Counts the searches of a master: how they ended, how long they took, how it went at agents."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, get_args

from headgate.kernel.durations import Durations
from headgate.master.domains.logs.types import SearchedAgent, State

RESULTS: Final = ("answered", "throttled", "refused")
STATES: Final = get_args(State)


@dataclass
class SearchCounts:
    """The counts of searches; bounded, since the words are few."""

    results: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(RESULTS, 0)))
    agents: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(STATES, 0)))
    durations: Durations = field(default_factory=Durations)

    def answered(self, agents: Iterable[SearchedAgent], seconds: float) -> None:
        """Counts a search that was answered."""
        self.results["answered"] += 1
        self.agents.update(one.state for one in agents)
        self.durations.record(seconds)
