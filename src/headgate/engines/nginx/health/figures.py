"""Counts what every nginx has, and shows endpoints by its access log and by their health."""

import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from headgate.engines.nginx.checks.table import Healths, Told, ToldUpstream
from headgate.engines.nginx.observe.family import Family, counter, gauge
from headgate.engines.nginx.observe.traffic import Backend
from headgate.engines.status import CertificateStatus
from headgate.engines.types import EndpointStatus, UpstreamStatus
from headgate.plan.objects import Upstream
from headgate.plan.plan import Plan

_NONE = Backend()
_DAY_S: Final = 86_400.0
_UNTOLD: Final = ToldUpstream(False, {})


def drifting(is_drift: bool) -> Family:
    """Returns the family that says whether something differs from what it should be."""
    about = "1 while disk or process differ from the release, or from the config that runs."
    return gauge("headgate_nginx_drift", about, [({}, int(is_drift))])


def reloaded(count: int) -> Family:
    """Returns the family of reloads of a watched nginx."""
    about = "Times all workers were replaced by others."
    return counter("headgate_nginx_foreign_reloads", about, [({}, count)])


def certificates(found: Sequence[CertificateStatus], now_s: float) -> Iterator[Family]:
    """Yields the families of a watched nginx's certificates: when they end, in how many days from
    `now_s` (Unix time), what is wrong with them.
    """
    ends = [({"path": one.path}, one.not_after) for one in found if one.not_after]
    name = "headgate_nginx_certificate_not_after_timestamp_seconds"
    yield gauge(name, "When a certificate on disk ends, Unix time.", ends)
    days = [(labels, round((until - now_s) / _DAY_S, 3)) for labels, until in ends]
    about = "Days until then; negative afterwards."
    yield gauge("headgate_nginx_certificate_expiry_days", about, days)
    problems = [({"path": one.path}, len(one.problems)) for one in found]
    about = "What is wrong with a certificate: its end, its key, what is served instead."
    yield gauge("headgate_nginx_certificate_problems", about, problems)


def restarted(count: int) -> Family:
    """Returns the family of masters that the node did not start."""
    about = "Times another master was found than before, started by others."
    return counter("headgate_nginx_foreign_restarts", about, [({}, count)])


def endpoints(
    plan: Plan, backends: Mapping[str, Backend], health: Healths = MappingProxyType({})
) -> list[UpstreamStatus]:
    """Returns every upstream of a plan with its endpoints;
    counts begin when we began to read the log.
    """
    now = time.time()
    found = []
    for key, entry in sorted(plan.objects.items()):
        if not isinstance(entry.value, Upstream):
            continue
        told = health.get(key.name, _UNTOLD)
        states = [
            _endpoint(
                one.address,
                backends.get(f"{key.name}/{one.address}", _NONE),
                told.endpoints.get(one.address),
                now,
            )
            for one in entry.value.endpoints
        ]
        found.append(UpstreamStatus(key.name, states, told.panic))
    return found


def of_health(health: Healths) -> Iterator[Family]:
    """Yields the families of what is known of endpoints, under the native engine's names."""
    every = [
        ({"backend": f"{name}/{address}"}, told)
        for name, upstream in sorted(health.items())
        for address, told in upstream.endpoints.items()
    ]
    yield gauge(
        "headgate_upstream_panic",
        "1 while so few endpoints are usable that those that look bad get requests, too.",
        [({"upstream": name}, int(one.panic)) for name, one in sorted(health.items())],
    )
    yield from _breakers(health)
    yield counter(
        "headgate_upstream_outliers",
        "How often an endpoint looked like an outlier, by what became of it.",
        [
            ({"upstream": name, "outcome": outcome}, count)
            for name, one in sorted(health.items())
            for outcome, count in one.outliers.items()
        ],
    )
    yield gauge(
        "headgate_backend_takes_traffic",
        "1 when the endpoint gets new requests.",
        [(labels, int(told.takes)) for labels, told in every],
    )
    yield gauge(
        "headgate_backend_up",
        "1 when the endpoint is up, whether or not it gets requests.",
        [(labels, int(told.state == "up")) for labels, told in every],
    )
    yield counter(
        "headgate_backend_checks_passed",
        "Health checks that passed.",
        [(labels, told.passed) for labels, told in every],
    )
    yield counter(
        "headgate_backend_checks_failed",
        "Health checks that failed.",
        [(labels, told.failed) for labels, told in every],
    )


def _breakers(health: Healths) -> Iterator[Family]:
    yield counter(
        "headgate_upstream_breaker_opened",
        "How often a circuit breaker opened, of the upstream or of its endpoints.",
        [({"upstream": name}, one.opened) for name, one in sorted(health.items())],
    )
    yield gauge(
        "headgate_upstream_breaker_state",
        "Circuit breakers by their state, of the upstream or of its endpoints.",
        [
            ({"upstream": name, "state": state}, count)
            for name, one in sorted(health.items())
            for state, count in one.breakers.items()
        ],
    )


def _endpoint(address: str, seen: Backend, told: Told | None, now: float) -> EndpointStatus:
    found = EndpointStatus(
        address=address,
        resolved=[address],
        state="up",
        active=0,
        idle=0,
        requests=seen.requests,
        failures=seen.failures,
        error="",
    )
    if told is None:
        return found
    return replace(
        found,
        state=told.state,
        takes=told.takes,
        why=told.why,
        reason=told.reason,
        changed_at=now - told.ago_ms / 1000,
        checks_passed=told.passed,
        checks_failed=told.failed,
    )
