"""Figures as series of points of one length. Pure."""

from collections.abc import Iterable

from headgate.fleet.latency import quantile_s
from headgate.master.domains.metrics.growth import Slot
from headgate.master.domains.metrics.tally import Tally, added
from headgate.master.domains.metrics.types import MetricsPoint


def stepped(rows: Iterable[tuple[Slot, Tally]], step_ms: int) -> list[tuple[Slot, Tally]]:
    """Returns the sums by slots of this length, the oldest first; what is stored in longer ones
    stays in those."""
    groups: dict[Slot, list[Tally]] = {}
    for slot, tally in rows:
        length = max(step_ms, slot.length)
        groups.setdefault(Slot(length, slot.at // length * length), []).append(tally)
    found = [(slot, added(tallies)) for slot, tallies in groups.items()]
    return sorted(found, key=lambda one: (one[0].at, one[0].length))


def point(agent: str | None, slot: Slot, tally: Tally) -> MetricsPoint:
    """Returns a point as clients see it."""
    return MetricsPoint(
        agent=agent,
        at=slot.at,
        seconds=slot.length // 1_000,
        nodes=round(tally.covered_ms / slot.length, 2),
        requests=tally.requests,
        client_errors=tally.client_errors,
        server_errors=tally.server_errors,
        endpoint_failures=tally.endpoint_failures,
        connections=round(tally.connection_ms / slot.length, 2),
        drifting=None if tally.drift_ms is None else round(tally.drift_ms / slot.length, 2),
        latency_p50_ms=_ms(quantile_s(tally.latency, 0.5)),
        latency_p99_ms=_ms(quantile_s(tally.latency, 0.99)),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1_000, 3)
