"""Counts the previews of a master, and the requests that they asked configs for."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from headgate.master.domains.drafts.types import Preview

RESULTS: Final = ("passed", "refused")
FATES: Final = ("same", "elsewhere")


@dataclass
class PreviewCounts:
    """The counts of previews; bounded, since the words are few."""

    results: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(RESULTS, 0)))
    requests: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(FATES, 0)))

    def shown(self, preview: Preview) -> None:
        """Counts a preview that was given."""
        self.results["refused" if preview.errors else "passed"] += 1
        for fleet in preview.fleets:
            moved = len(fleet.requests.moved) + fleet.requests.more
            self.requests["elsewhere"] += moved
            self.requests["same"] += max(0, fleet.requests.asked - moved)
