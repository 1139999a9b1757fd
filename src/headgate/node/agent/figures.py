"""The figures of heartbeats, by which gates of rollouts judge a node: what it served, how often it
failed, how long answers took, what its checks found."""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

from headgate.engines.types import UpstreamStatus
from headgate.node.ports import Serving
from headgate.node.samples import Samples, parse

_REQUESTS: Final = "http_requests_total"
_DURATION: Final = "http_request_duration_seconds"
_DRAINING: Final = "headgate_nginx_draining_generations"
_WANTED: Final = (_REQUESTS, f"{_DURATION}_bucket", _DRAINING)
_QUANTILE: Final = 0.99
_MS: Final = 1000


def looked(page: bytes) -> Samples:
    """Returns the samples of a metrics page that figures are made of; a page can be long."""
    lines = page.decode(errors="replace").splitlines()
    return parse("\n".join(line for line in lines if line.startswith(_WANTED)))


def figures(now: Samples, before: Samples, upstreams: Iterable[UpstreamStatus]) -> dict[str, float]:
    """Returns counters since the engine began (`requests`, `errors`: answers with 5xx, `probes`,
    `probes_failed`), `draining` old generations, and `latency_p99_ms` between two looks, which is
    missing if nothing was served between them.
    """
    endpoints = [one for upstream in upstreams for one in upstream.endpoints]
    failed = float(sum(one.checks_failed for one in endpoints))
    found = {
        "requests": now.total(_REQUESTS),
        "errors": sum(
            one.value
            for one in now.lines
            if one.name == _REQUESTS and one.labels.get("status", "").startswith("5")
        ),
        "probes": failed + sum(one.checks_passed for one in endpoints),
        "probes_failed": failed,
        "draining": now.total(_DRAINING),
    }
    p99 = now.quantile(_DURATION, _QUANTILE, before)
    if p99 is not None:
        found["latency_p99_ms"] = p99 * _MS
    return found


class Measured:
    """Measures an engine; each call looks once more."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._before = Samples(())

    async def __call__(self) -> dict[str, float]:
        """Returns the figures, with `measured_s`, when they were taken by a clock of this process:
        heartbeats come more often than looks and repeat the last one. None while nothing serves.
        """
        page = await self._serving.metrics()
        upstreams = await self._serving.upstreams()
        if page is None or upstreams is None:
            return {}
        now = await asyncio.to_thread(looked, page)
        before, self._before = self._before, now
        return figures(now, before, upstreams) | {"measured_s": time.monotonic()}
