"""The plan's process-wide settings; the mirror of hg-plan's `objects.rs`."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from headgate.plan.node import DefaultedNode, PlanNode

LATENCY_BOUNDS_US: Final = (
    *(100, 200, 300, 500, 750),
    *(1_000, 2_000, 3_000, 5_000, 7_500),
    *(10_000, 20_000, 30_000, 50_000, 75_000),
    *(100_000, 200_000, 300_000, 500_000),
    *(1_000_000, 2_500_000, 5_000_000, 10_000_000, 60_000_000),
)
"""The default bounds of latency histograms; hg-plan's `LATENCY_BOUNDS_US`."""


class StdoutSink(PlanNode, frozen=True):
    """Standard output of the data-plane process."""


class FileSink(PlanNode, frozen=True):
    """A file by absolute path, reopened on SIGUSR1."""

    path: str


class SyslogSink(PlanNode, frozen=True):
    """RFC 5424 datagrams to `unix:/dev/log` or `host:port` (UDP)."""

    address: str


class LogSink(PlanNode, frozen=True):
    """The sink of access records; exactly one is set."""

    stdout: StdoutSink | None = None
    file: FileSink | None = None
    syslog: SyslogSink | None = None


class OutletTls(DefaultedNode, frozen=True):
    """TLS towards a server that the node itself sends to; `ca`, `cert` and `key` are blobs of PEM,
    without `ca` the system's roots count.
    """

    verify_name: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    min_version: Literal["1.2", "1.3"] = "1.2"


class OtlpExport(PlanNode, frozen=True):
    """The destination of spans or log records: a collector that takes OTLP over HTTP."""

    endpoint: str
    service_name: str
    timeout_ms: int
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    tls: OutletTls | None = None


class AccessLog(PlanNode, frozen=True):
    """Access log format and sink; `fields` of JSON, none = all; `template` in place of a format.

    Without a sink lines go to the collector alone.
    """

    format: Literal["json", "combined", "common"]
    sink: LogSink | None
    fields: tuple[str, ...] = ()
    template: str | None = None
    otlp: OtlpExport | None = None


class Redaction(PlanNode, frozen=True):
    """The values that logs, taps and spans never show: those of parameters of a query, by names in
    lower case, and of the headers `referer` and `user-agent`."""

    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


class Drain(DefaultedNode, frozen=True):
    """The times of a drain."""

    delay_ms: int = 5_000
    idle_grace_ms: int = 1_000
    deadline_ms: int = 30_000


class Resolver(DefaultedNode, frozen=True):
    """Name resolution; no servers means the system's."""

    servers: tuple[str, ...] = ()
    min_ttl_ms: int = 1_000
    max_ttl_ms: int = 60_000
    timeout_ms: int = 5_000


class Shedding(DefaultedNode, frozen=True):
    """The limits above which there is too much to do and new requests are refused; 0 = no limit."""

    memory_bytes: int = 0
    queued: int = 1_024
    lag_ms: int = 100
    strained_percent: int = 75
    critical_percent: int = 150


class Tracing(DefaultedNode, frozen=True):
    """The traces that requests belong to; `sample_ppm` are millionths."""

    sample_ppm: int = 1_000_000
    parents: Literal["any", "trusted"] = "any"
    export: OtlpExport | None = None


class LimitStore(DefaultedNode, frozen=True):
    """The store that nodes share rate limits through; `address` is `host:port`."""

    address: str
    nodes: int
    database: int = 0
    username: str = ""
    password: str = ""
    prefix: str = "headgate"
    timeout_ms: int = 250
    tls: OutletTls | None = None


class Settings(DefaultedNode, frozen=True):
    """Process-wide settings; one object, named `node`.

    `latency_bounds_us` are the upper bounds of the buckets of latency histograms, ascending.
    """

    max_connections: int = 20_000
    max_connections_per_client: int = 0
    log_level: Literal["error", "warn", "info", "debug"] = "info"
    access_log: AccessLog | None = None
    drain: Drain = Drain()
    resolver: Resolver = Resolver()
    shedding: Shedding | None = None
    tracing: Tracing | None = None
    limit_store: LimitStore | None = None
    redaction: Redaction = Redaction()
    latency_bounds_us: tuple[int, ...] = LATENCY_BOUNDS_US

    def outlets(self) -> Iterator[tuple[str, OutletTls]]:
        """Yields the servers that the node itself sends to over TLS, by their keys in `[node]`."""
        export = self.tracing.export if self.tracing is not None else None
        if export is not None and export.tls is not None:
            yield "tracing", export.tls
        log = self.access_log.otlp if self.access_log is not None else None
        if log is not None and log.tls is not None:
            yield "access_log.otlp", log.tls
        if self.limit_store is not None and self.limit_store.tls is not None:
            yield "limit_store", self.limit_store.tls
