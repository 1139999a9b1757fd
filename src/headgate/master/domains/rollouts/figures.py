"""Keeps what agents measured over the last hour, and sums it up for gates. Pure.

Agents send counters that only grow (`requests`, `errors`, `probes`, `probes_failed`), values of
the moment (`latency_p99_ms`, `draining`), and when they measured (`measured_s`). A counter that
falls shows that its node began anew.
"""

import itertools
import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from headgate.master.domains.rollouts.gates import Sample

KEPT_S: Final = 3900.0
_APART_S: Final = 5.0
_COUNTERS: Final = ("requests", "errors", "probes", "probes_failed")
_NAMES: Final = (*_COUNTERS, "latency_p99_ms", "draining", "measured_s")


class _Point(NamedTuple):
    at: float
    measured_s: float
    counters: tuple[float, ...]
    latency_ms: float
    draining: float


def judged(figures: Mapping[str, float]) -> dict[str, float]:
    """Returns those of an agent's figures that gates judge by; what is no number is left out."""
    return {name: figures[name] for name in _NAMES if math.isfinite(figures.get(name, math.nan))}


class Figures:
    """The figures of every agent, for a little more than an hour; at most one point each 5 s."""

    def __init__(self) -> None:
        self._points: dict[str, deque[_Point]] = {}
        self._latest = -math.inf

    def notice(self, now: float) -> None:
        """Forgets all if the clock was set back: what was kept lies in the future, or belongs to
        another time than it says. To be told before points of now, and before a sample."""
        if now < self._latest - _APART_S:
            self._points.clear()
            self._latest = now
        self._latest = max(self._latest, now)

    def add(self, agent: str, at: float, figures: Mapping[str, float]) -> None:
        """Keeps what an agent sent; a point that is older than its last one is dropped."""
        figures = judged(figures)
        # Who was heard of last stands last.
        points = self._points[agent] = self._points.pop(agent, deque())
        # An agent that does not say when it measured did so just now.
        measured_s = figures.get("measured_s", at)
        if points and points[-1].measured_s == measured_s:
            return  # a heartbeat that repeats what was measured before is nothing new
        if points and not at - points[-1].at >= _APART_S:
            return
        counters = tuple(max(figures.get(name, 0.0), 0.0) for name in _COUNTERS)
        latency = figures.get("latency_p99_ms", 0.0)
        draining = figures.get("draining", 0.0)
        points.append(_Point(at, measured_s, counters, latency, draining))
        while points[0].at < at - KEPT_S:
            points.popleft()
        self._drop_silent(at)

    def _drop_silent(self, at: float) -> None:
        """Drops agents that were not heard of for so long that nothing of theirs counts."""
        silent = itertools.takewhile(
            lambda one: self._points[one][-1].at < at - KEPT_S, self._points
        )
        for agent in list(silent):
            del self._points[agent]

    def silent(self, agents: Iterable[str], since: float) -> tuple[str, ...]:
        """Returns those of these agents of which there is no point since a time."""
        newest = ((agent, self._points.get(agent)) for agent in agents)
        return tuple(agent for agent, points in newest if not points or points[-1].at < since)

    def sample(self, agents: Iterable[str], since: float, until: float) -> Sample:
        """Returns what the agents measured between two times; agents without points do not
        count. A window begins with the last point before it, and an agent's data end with its last
        point: each covers its own time, and rates count that. Between two points in which a node
        began anew, its counters hold the requests of an unknown part of the time."""
        total = [0.0] * len(_COUNTERS)
        weight = weighted = draining = covered_s = anew = 0.0
        oldest, count = until, 0
        for agent in agents:
            window = self._window(agent, since, until)
            if not window:
                continue
            count += 1
            oldest = min(oldest, window[-1].at)
            draining = max(draining, *(point.draining for point in window))
            for before, after in itertools.pairwise(window):
                grown = [_grown(a, b) for a, b in zip(before.counters, after.counters, strict=True)]
                total = [one + more for one, more in zip(total, grown, strict=True)]
                if _is_anew(before, after):
                    anew += grown[0]
                else:
                    covered_s += _passed(before, after)
                weight += grown[0]
                weighted += grown[0] * after.latency_ms
        return Sample(
            agents=count,
            seconds=covered_s / count if count else 0.0,
            oldest_at=oldest,
            requests=int(total[0]),
            requests_anew=int(anew),
            errors=int(total[1]),
            latency_ms=weighted / weight if weight else None,
            draining=int(draining),
            probes=int(total[2]),
            probes_failed=int(total[3]),
        )

    def _window(self, agent: str, since: float, until: float) -> list[_Point]:
        points = [point for point in self._points.get(agent, ()) if point.at <= until]
        first = max(bisect_left(points, since, key=lambda point: point.at) - 1, 0)
        return points[first:] if points and points[-1].at >= since else []


def _passed(before: _Point, after: _Point) -> float:
    passed = after.measured_s - before.measured_s
    return passed if passed > 0.0 else after.at - before.at  # its clock began anew


def _is_anew(before: _Point, after: _Point) -> bool:
    return any(b < a for a, b in zip(before.counters, after.counters, strict=True))


def _grown(before: float, after: float) -> float:
    return after - before if after >= before else after
