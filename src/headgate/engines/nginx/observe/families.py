"""Turns observations of an nginx into metrics, by our own engine's names
where the meaning is equal.

`headgate_nginx_…` are families that only an nginx has. Pure.
"""

from collections.abc import Iterable, Iterator

from headgate.engines.nginx.observe.error_log import GRAVE, ErrorWatch
from headgate.engines.nginx.observe.family import Family, Labels, counter, gauge, histogram
from headgate.engines.nginx.observe.lines import Losses
from headgate.engines.nginx.observe.processes import InstanceFigures
from headgate.engines.nginx.observe.status import RunningGeneration, StubStatus
from headgate.engines.nginx.observe.traffic import Backend, Traffic


def of_traffic(traffic: Traffic, mean_ms: float, p99_ms: float) -> Iterator[Family]:
    """Yields requests by the access log; mean and 99th percentile are of the last minute or two."""
    yield counter(
        "http_requests",
        "Requests answered; no upstream: answered here.",
        (
            ({"method": method, "status": status, "upstream": upstream}, count)
            for (method, status, upstream), count in sorted(traffic.requests.items())
        ),
    )
    yield _folded(traffic)
    yield histogram(
        "http_request_duration_seconds",
        "From a request's head to its answer's last byte.",
        [({}, traffic.duration)],
    )
    yield gauge(
        "proxy_latency_avg_ms",
        "Mean duration of requests in the last minute or two, milliseconds.",
        [({}, round(mean_ms, 6))],
    )
    yield gauge(
        "proxy_latency_p99_ms", "99th percentile of the same, milliseconds.", [({}, p99_ms)]
    )
    yield from _connections(traffic)
    yield from _backends(traffic)
    for label, table in (("route", traffic.routes), ("site", traffic.sites)):
        if table or label == "route":
            yield counter(
                f"headgate_{label}_requests",
                f"Requests of a {label}, by class of their status.",
                (
                    ({label: name, "status": kind}, count)
                    for name, served in sorted(table.items())
                    for kind, count in served.by_class().items()
                ),
            )
            yield histogram(
                f"headgate_{label}_duration_seconds",
                f"The same duration by {label}.",
                (({label: name}, served.latency) for name, served in sorted(table.items())),
            )
    yield from _upstreams(traffic)


def _upstreams(traffic: Traffic) -> Iterator[Family]:
    yield histogram(
        "headgate_upstream_duration_seconds",
        "Time endpoints took for an answer, all tries of a request together.",
        (({"upstream": name}, one.latency) for name, one in sorted(traffic.upstreams.items())),
    )
    yield histogram(
        "headgate_upstream_request_duration_seconds",
        "The duration of http_request_duration_seconds by upstream, where it had requests.",
        (
            ({"upstream": name}, one.whole)
            for name, one in sorted(traffic.upstreams.items())
            if one.whole is not None
        ),
    )
    yield counter(
        "headgate_upstream_retries",
        "Attempts after the first, of requests and of connections of TCP.",
        [
            ({"upstream": name}, traffic.retries.get(name, 0))
            for name in sorted({*traffic.upstreams, *traffic.retries})
        ],
    )


def _folded(traffic: Traffic) -> Family:
    found = (
        ("headgate_route_requests", traffic.routes.folded),
        ("headgate_site_requests", traffic.sites.folded),
        ("headgate_upstream_duration_seconds", traffic.upstreams.folded),
        ("http_requests", traffic.folded_requests),
        ("proxy_backend_requests", traffic.folded_backends),
    )
    return counter(
        "headgate_metrics_folded",
        "What counts under a class or `(other)` in a family, because its labels are at their "
        "bound.",
        [({"family": family}, count) for family, count in found],
    )


def _connections(traffic: Traffic) -> Iterator[Family]:
    """Yields what requests, TCP connections and flows have in common, and how the latter ended."""
    yield counter(
        "proxy_bytes_sent", "Bytes written to clients, inside TLS.", [({}, traffic.bytes_out)]
    )
    yield counter(
        "proxy_bytes_received", "Bytes read from clients, inside TLS.", [({}, traffic.bytes_in)]
    )
    yield counter(
        "headgate_tcp_closed",
        "Connections of TCP listeners that ended, by why.",
        [({"reason": why}, count) for why, count in sorted(traffic.tcp_closed.items())],
    )
    yield counter(
        "headgate_udp_closed",
        "Flows that ended, by why.",
        [({"reason": why}, count) for why, count in sorted(traffic.udp_closed.items())],
    )


def _backends(traffic: Traffic) -> Iterator[Family]:
    backends = sorted(traffic.backends.items())

    def each(name: str, about: str, values: Iterable[int]) -> Family:
        labels: Iterable[Labels] = ({"backend": backend} for backend, _ in backends)
        return counter(name, about, zip(labels, values, strict=True))

    every: list[Backend] = [one for _, one in backends]
    yield each("proxy_backend_requests", "Requests sent.", (one.requests for one in every))
    yield each(
        "proxy_backend_failures", "Requests that failed there.", (one.failures for one in every)
    )
    yield each(
        "headgate_backend_connect_failures",
        "Connections that could not be opened.",
        (one.connect_failures for one in every),
    )


def of_connections(status: StubStatus) -> Iterator[Family]:
    """Yields the families of `stub_status`."""
    yield gauge("proxy_active_connections", "Client connections open.", [({}, status.active)])
    yield gauge(
        "proxy_total_connections", "Client connections ever accepted.", [({}, status.accepts)]
    )
    yield counter(
        "headgate_connections_refused",
        "Connections closed before their first request, by the reason.",
        [({"reason": "worker_connections"}, status.accepts - status.handled)],
    )
    yield counter(
        "headgate_nginx_requests", "Requests nginx has counted itself.", [({}, status.requests)]
    )
    states = {
        "reading": status.reading,
        "writing": status.writing,
        "waiting": status.waiting,
    }
    yield gauge(
        "headgate_nginx_connections",
        "Client connections by what nginx does with them.",
        [({"state": state}, count) for state, count in states.items()],
    )


def of_processes(now: InstanceFigures, oldest_draining_s: float) -> Iterator[Family]:
    """Yields the families of /proc."""
    serving = len(now.workers) - len(now.draining)
    yield gauge("headgate_nginx_up", "1 while a master runs.", [({}, int(now.master is not None))])
    yield gauge(
        "headgate_nginx_workers",
        "Worker processes.",
        [({"state": "serving"}, serving), ({"state": "draining"}, len(now.draining))],
    )
    yield gauge(
        "headgate_nginx_draining_generations",
        "Earlier configs whose workers still wait for connections to end.",
        [({}, now.draining_generations)],
    )
    yield gauge(
        "headgate_nginx_oldest_draining_seconds",
        "How long the worker that has drained longest has; 0 without one.",
        [({}, round(oldest_draining_s, 3))],
    )
    yield gauge(
        "headgate_nginx_resident_bytes",
        "Memory of master and workers, what they share counted in each.",
        [({}, now.resident_bytes)],
    )
    if now.master is not None:
        yield gauge(
            "headgate_nginx_master_age_seconds",
            "Since the master was started.",
            [({}, round(now.master.age_s, 3))],
        )


def of_generation(desired: int | None, running: RunningGeneration | None) -> Iterator[Family]:
    """Yields the desired generation and the one that a worker reports."""
    values: list[tuple[Labels, float]] = []
    if desired is not None:
        values.append(({"of": "desired"}, desired))
    if running is not None:
        values.append(({"of": "running"}, running.generation))
    yield gauge("headgate_nginx_generation", "Number of a release.", values)


def of_logs(traffic: Traffic, losses: Losses, errors: ErrorWatch) -> Iterator[Family]:
    """Yields what the log readers missed, and what the error log holds."""
    yield counter(
        "headgate_nginx_access_log_unread",
        "Lines of the access log that held no request.",
        [({}, traffic.unread)],
    )
    yield counter(
        "headgate_nginx_log_skipped_bytes",
        "Bytes of logs passed over because reading was too far behind.",
        [({}, losses.skipped_bytes)],
    )
    yield counter(
        "headgate_nginx_errors",
        "Lines of the error log, by level.",
        [({"level": level}, errors.levels[level]) for level in ("warn", "error", *sorted(GRAVE))],
    )
    yield counter(
        "headgate_nginx_failures",
        "Lines of the error log, by what they are about.",
        [({"kind": kind}, count) for kind, count in sorted(errors.kinds.items())],
    )
