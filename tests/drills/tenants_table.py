"""The phases of the drill of tenants, and the table of what was measured in them."""

import math
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tenants_calm import Sample

_TICKS = os.sysconf("SC_CLK_TCK")


class Shares(NamedTuple):
    """The CPU time that was used, in percent of one core."""

    master: float
    machine: float
    """All processes; 100 for each core."""


class Busy:
    """Measures, from now on, how busy the master and the machine are."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._begun = time.monotonic()
        self._before = self._used()

    def shares(self) -> Shares:
        """Returns the shares since the beginning."""
        seconds = time.monotonic() - self._begun
        pairs = zip(self._used(), self._before, strict=True)
        return Shares(*(100 * (now - before) / _TICKS / seconds for now, before in pairs))

    def _used(self) -> tuple[int, int]:
        own = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        user, nice, system, _idle, _wait, irq, soft, *_ = map(
            int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        )
        return int(own[11]) + int(own[12]), user + nice + system + irq + soft


@dataclass
class Phase:
    """A quiet time, or a flood."""

    is_flood: bool
    samples: list[Sample]
    shares: Shares
    flood: dict[str, Any] | None
    events: list[float] = field(default_factory=list)
    """How long after a write was due its event came."""

    def take_events(self, found: list[tuple[float, float]]) -> None:
        """Keeps those of its own writes."""
        own = {one.due for one in self.samples}
        self.events = [latency for due, latency in found if due in own]

    def latencies(self, kind: str) -> list[float]:
        """How long the requests of a kind took from when they were due."""
        return [one.ended - one.due for one in self.samples if one.kind == kind]


def rank(values: Sequence[float], share: float) -> float:
    """The least value that this share of the values does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def lines(phases: list[Phase]) -> Iterator[str]:
    """The tables, in Markdown."""
    yield "| median over the rounds (least to most) | quiet | flood |"
    yield "|---|---|---|"
    figures = ("p50", 0.5), ("p99", 0.99), ("longest", 1.0)
    of: tuple[tuple[str, Callable[[Phase], list[float]]], ...] = (
        ("reads", lambda one: one.latencies("read")),
        ("writes", lambda one: one.latencies("write")),
        ("events", lambda one: one.events),
    )
    for what, values in of:
        for word, share in figures:
            yield _row(phases, f"{what}, {word}, ms", lambda p: 1000 * rank(values(p), share))  # noqa: B023
    yield _row(phases, "the master, % of a core", lambda one: one.shares.master)
    yield _row(phases, "the machine, % of a core", lambda one: one.shares.machine)
    yield _row(phases, "requests of the flood/s", _flooded)
    yield ""
    yield "| requests of the flood | by status |"
    yield "|---|---|"
    for kind, statuses in total(phases).items():
        told = ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()))
        yield f"| {kind} | {told} |"


def total(phases: list[Phase]) -> dict[str, Counter[str]]:
    """Counts the answers of all floods, by kind and status."""
    found: dict[str, Counter[str]] = {}
    for phase in phases:
        for kind, statuses in (phase.flood or {"statuses": {}})["statuses"].items():
            found.setdefault(kind, Counter()).update(statuses)
    return found


def _flooded(phase: Phase) -> float:
    counted = sum(sum(one.values()) for one in total([phase]).values())
    return counted / phase.flood["seconds"] if phase.flood else 0.0


def _row(phases: list[Phase], what: str, figure: Callable[[Phase], float]) -> str:
    cells = []
    for is_flood in (False, True):
        values = [figure(one) for one in phases if one.is_flood is is_flood]
        middle = statistics.median(values)
        cells.append(f"{middle:.1f} ({min(values):.1f} to {max(values):.1f})")
    return f"| {what} | {' | '.join(cells)} |"
