"""The figures of heartbeats: what a node served, how often it failed, how long answers took, what
its checks found. Gates of rollouts judge by them, and the master keeps them for a day."""

import asyncio
import itertools
import time
from collections.abc import Iterable
from typing import Final

from headgate.engines.types import UpstreamStatus
from headgate.fleet.agent_events import Summary
from headgate.fleet.frames import Latency
from headgate.node.ports import Serving
from headgate.node.samples import Samples, parse

_REQUESTS: Final = "http_requests"
_DURATION: Final = "http_request_duration_seconds"
_DRIFT: Final = "headgate_nginx_drift"
_DRAINING: Final = "headgate_nginx_draining_generations"
_CONNECTIONS: Final = "proxy_active_connections"
_UPTIME: Final = "headgate_dataplane_uptime_seconds"
_WANTED: Final = (
    *(f"{_REQUESTS}_total", f"{_DURATION}_bucket"),
    *(_DRIFT, _DRAINING, _CONNECTIONS, _UPTIME),
)
_QUANTILE: Final = 0.99
_MS: Final = 1000


def looked(page: bytes) -> Samples:
    """Returns the samples of a metrics page that figures are made of; a page can be long."""
    lines = page.decode(errors="replace").splitlines()
    return parse("\n".join(line for line in lines if line.startswith(_WANTED)))


def figures(now: Samples, before: Samples, upstreams: Iterable[UpstreamStatus]) -> dict[str, float]:
    """Returns counters since the engine began (`requests`, `errors_4xx`, `errors`: answers with
    5xx, `endpoint_failures`: tries that failed there, `probes`, `probes_failed`), `connections` of
    clients, `draining` old generations, `drifting` (1 while an nginx drifts; missing without one),
    and `latency_p99_ms` between two looks, which is missing if nothing was served between them.
    """
    endpoints = [one for upstream in upstreams for one in upstream.endpoints]
    failed = float(sum(one.checks_failed for one in endpoints))
    found = {
        "requests": now.total(f"{_REQUESTS}_total"),
        "errors": _answered(now, "5"),
        "errors_4xx": _answered(now, "4"),
        "endpoint_failures": float(sum(one.failures for one in endpoints)),
        "connections": now.total(_CONNECTIONS),
        "probes": failed + sum(one.checks_passed for one in endpoints),
        "probes_failed": failed,
        "draining": now.total(_DRAINING),
    }
    p99 = now.quantile(_DURATION, _QUANTILE, before)
    if any(one.name == _DRIFT for one in now.lines):
        found["drifting"] = now.total(_DRIFT)
    if p99 is not None:
        found["latency_p99_ms"] = p99 * _MS
    return found


def _answered(now: Samples, digit: str) -> float:
    """Returns how many requests got a status that begins so."""
    return sum(
        one.value
        for one in now.lines
        if one.name == f"{_REQUESTS}_total" and one.labels.get("status", "").startswith(digit)
    )


def latency(now: Samples) -> Latency | None:
    """Returns how long answers took since the engine began; None if the page does not say it."""
    found = now.buckets(_DURATION)
    bounds = tuple(bound for bound in found if bound != float("inf"))
    if not bounds or len(bounds) == len(found):
        return None
    counts = (int(count) for count in found.values())
    alone = tuple(after - before for before, after in itertools.pairwise((0, *counts)))
    return Latency(bounds, alone)


class Measured:
    """Measures an engine; each call looks once more."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._before = Samples(())
        self._began = time.monotonic()

    async def __call__(self) -> Summary:
        """Returns the figures and the latency, empty while nothing serves.

        `measured_s` is when they were taken by a clock of this process: heartbeats come more often
        than looks and repeat the last one. `uptime_s` is how long the engine has counted.
        """
        page = await self._serving.metrics()
        upstreams = await self._serving.upstreams()
        if page is None or upstreams is None:
            return Summary()
        now = await asyncio.to_thread(looked, page)
        before, self._before = self._before, now
        at = time.monotonic()
        # What an nginx served is counted here, from its log, and by nobody before.
        uptime_s = now.total(_UPTIME) or at - self._began
        own = {"measured_s": at, "uptime_s": uptime_s}
        return Summary(figures(now, before, upstreams) | own, latency(now))
