"""Counts what happens to a driven nginx: applies, heals, starts."""

from collections.abc import Iterator

from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.health.figures import drifting, restarted
from headgate.engines.nginx.observe.family import Family, counter, gauge
from headgate.engines.nginx.upkeep.mender import Mender


def own_families(
    engine: NginxEngine, mender: Mender, starts: int, restarts: int
) -> Iterator[Family]:
    """Yields the families of applies, heals and starts of one nginx; `restarts` are foreign."""
    figures = engine.front.figures
    results = [({"result": "applied"}, figures.applied), ({"result": "rejected"}, figures.rejected)]
    yield counter("headgate_nginx_applies", "Releases by how they ended.", results)
    causes = [({"cause": code}, count) for code, count in sorted(figures.by_cause.items())]
    yield counter("headgate_nginx_rejections", "Releases refused, by their cause.", causes)
    moves = engine.endpoints.figures
    moved = [({"result": "applied"}, moves.applied), ({"result": "failed"}, moves.failed)]
    about = "Changes of endpoints without a reload; failed = it took one."
    yield counter("headgate_nginx_endpoint_updates", about, moved)
    heals = [({"result": "healed"}, mender.heals), ({"result": "failed"}, mender.heals_failed)]
    yield counter("headgate_nginx_heals", "Times an edit by others was undone.", heals)
    yield counter(
        "headgate_nginx_starts", "Times nginx was gone and started again.", [({}, starts)]
    )
    yield restarted(restarts)
    yield drifting(mender.finding is not None and mender.finding.is_drift)
    yield gauge(
        "headgate_nginx_degraded", "1 while no release is proven.", [({}, figures.degraded)]
    )
