"""Results as JSON lines: one for each (case, round, peer), so that a run can be taken up again."""

import json
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

Metrics = dict[str, float]


@dataclass
class Result:
    """The result of one peer in one round of one case."""

    case: str
    round: int
    peer: str
    commit: str
    part: str = ""
    """The part that was measured by itself: `half` = latencies at half load; empty = the rest."""
    variants: dict[str, Metrics] = field(default_factory=dict)
    """Figures by variant of the case; the only one is called `""`."""
    noisy: bool = False
    failure: str = ""
    """The reason why there are no figures; empty if there are."""
    at: float = 0.0


class Journal:
    """The file of results; lines that cannot be read (a run was cut) are left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results: list[Result] = []
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    self.results.append(Result(**json.loads(line)))
                except (ValueError, TypeError):
                    continue

    def has(self, case: str, round_: int, peer: str, part: str = "") -> bool:
        """Reports whether it was measured already."""
        return any(
            (one.case, one.round, one.peer, one.part) == (case, round_, peer, part)
            and not one.failure
            for one in self.results
        )

    def add(self, result: Result) -> None:
        """Writes it down."""
        result.at = round(time.time(), 1)
        self.results.append(result)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")

    def half_rate(self, case: str, variant: str) -> float:
        """Half of the requests a second that the case's first run had; 0 = none yet."""
        for one in self.results:
            if one.case == case and "rps" in one.variants.get(variant, {}):
                return float(round(one.variants[variant]["rps"] / 2))
        return 0.0


Table = dict[str, dict[int, Metrics]]
"""Figures by peer and round."""


def table(results: Iterable[Result], case: str, variant: str) -> Table:
    """The figures of a case's variant, all parts together; of several the last one counts."""
    found: Table = defaultdict(dict)
    for one in results:
        if one.case == case and variant in one.variants:
            before = found[one.peer].get(one.round, {})
            found[one.peer][one.round] = before | one.variants[variant]
    return dict(found)
