"""Splits `[node]` into the plan's settings and what stays with the node's own processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from headgate.compile.outlets import outlet_tls
from headgate.compile.reads import Reads
from headgate.compile.resolved import Resolved
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.errors import Invalid
from headgate.model.access_log import AccessLog
from headgate.model.limit_store import LimitStore
from headgate.model.nginx import Nginx
from headgate.model.node import Node, Shedding
from headgate.model.otlp import OtlpExport
from headgate.model.tracing import Tracing
from headgate.plan import settings as plan


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """A request that a release must answer with `status`."""

    address: str
    host: str
    path: str
    tls: bool
    status: int


@dataclass(frozen=True, slots=True)
class NginxSettings:
    """Settings for driving an nginx; times are seconds, 0 = off. None = found out when needed."""

    binary: str | None = None
    mode: Literal["full", "guest", "observe"] = "full"
    start: Literal["own", "systemd", "external"] = "own"
    conf: str | None = None
    pid: str | None = None
    user: str | None = None
    soak_s: float = 0.0
    debounce_s: float = 0.1
    reloads_per_minute: int = 30
    max_draining: int = 3
    shutdown_timeout_s: float = 60.0
    endpoints: Literal["reload", "lua"] = "reload"
    drift_policy: Literal["report", "heal"] = "heal"
    heal_after_s: float = 60.0
    probes: tuple[ProbeSettings, ...] = ()
    imported: str | None = None
    latency_bounds_us: tuple[int, ...] = plan.LATENCY_BOUNDS_US
    """Upper bounds of the buckets of latency histograms."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Settings that are not part of the plan: the control process and the supervisor keep them."""

    admin: tuple[str, ...]
    """Loopback addresses of the admin API, `ip:port`; none = only the Unix socket."""
    metrics: tuple[str, ...]
    """Further addresses that serve health and metrics only, `ip:port`."""
    state_dir: str | None
    """Directory of plan, keys, sockets and lock; None = the caller chooses."""
    workers: int | None
    """Worker threads; None = one per core the process may use."""
    log_level: str
    """Of the control process and the supervisor, as of the data plane."""
    engine: Literal["native", "nginx"] = "native"
    """The engine that serves the traffic."""
    nginx: NginxSettings = NginxSettings()
    """The nginx to drive where that is the engine."""
    drain_s: float = 30.0
    """The longest a drain takes, from its start."""
    admin_token: str | None = field(default=None, repr=False)
    """The token that opens all of the admin API to a request by TCP; None = nothing does."""
    user: str | None = None
    """The user of a native node that root starts;
    None = the system user `headgate`, root without one.
    """
    access_log: str | None = None
    """The access log's path, where that is a file."""
    allow_empty: bool = False
    """True if the config allows that there is no route."""
    listener_addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The addresses of listeners on this node, in place of those that they have."""
    instances: Mapping[str, "NodeSettings"] = field(default_factory=dict)
    """The nodes of an agent that drives several nginx, by their names."""
    title: str | None = None
    """The master's name for this instance of an agent; None = by the host's name and its own."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The labels that this instance enrols with."""


def settings(model: Node, reads: Reads) -> Resolved:
    """Returns the plan's settings object; what its TLS needs are blobs."""
    out = Resolved()
    log = model.access_log
    access_log = (
        out.attempt(("access_log", "sink"), lambda: _access_log(log, reads, out)) if log else None
    )
    out.value = plan.Settings(
        max_connections=model.limits.connections,
        max_connections_per_client=model.limits.connections_per_client,
        log_level=model.log_level,
        access_log=access_log,
        drain=plan.Drain(
            delay_ms=model.drain.delay.ms,
            idle_grace_ms=model.drain.idle_grace.ms,
            deadline_ms=model.drain.deadline.ms,
        ),
        resolver=plan.Resolver(
            servers=tuple(model.resolver.servers),
            min_ttl_ms=model.resolver.min_ttl.ms,
            max_ttl_ms=model.resolver.max_ttl.ms,
            timeout_ms=model.resolver.timeout.ms,
        ),
        shedding=_shedding(model.shedding) if model.shedding is not None else None,
        tracing=_tracing(model.tracing, reads, out) if model.tracing is not None else None,
        limit_store=_limit_store(model.limit_store, reads, out)
        if model.limit_store is not None
        else None,
        redaction=plan.Redaction(query=tuple(sorted(set(model.redact_query)))),
        latency_bounds_us=_bounds_us(model),
    )
    return out


def node_settings(model: Node) -> NodeSettings:
    """Returns what stays with the node's own processes."""
    return NodeSettings(
        admin=tuple(model.admin),
        metrics=tuple(address for address in model.metrics if address not in model.admin),
        state_dir=model.state_dir,
        workers=model.workers,
        log_level=model.log_level,
        engine=model.engine,
        nginx=_nginx(model.nginx, _bounds_us(model)),
        drain_s=model.drain.deadline.ms / 1000,
        admin_token=model.admin_token,
        allow_empty=model.allow_empty,
        listener_addresses={
            name: tuple(dict.fromkeys(here)) for name, here in model.listener_addresses.items()
        },
        user=model.user,
        access_log=model.access_log.sink.path
        if model.access_log is not None and model.access_log.sink is not None
        else None,
    )


def _bounds_us(model: Node) -> tuple[int, ...]:
    return tuple(bound.us for bound in model.latency_buckets)


def _nginx(model: Nginx, latency_bounds_us: tuple[int, ...]) -> NginxSettings:
    probes = (
        ProbeSettings(probe.address, probe.host, probe.path, probe.tls, probe.status)
        for probe in model.probes
    )
    return NginxSettings(
        binary=model.binary,
        mode=model.mode,
        start=model.start,
        conf=model.conf,
        pid=model.pid,
        user=model.user,
        soak_s=model.soak.ms / 1000,
        debounce_s=model.debounce.ms / 1000,
        reloads_per_minute=model.reloads_per_minute,
        max_draining=model.max_draining,
        shutdown_timeout_s=model.shutdown_timeout.ms / 1000,
        endpoints=model.endpoints,
        drift_policy=model.drift.policy or ("heal" if model.mode == "full" else "report"),
        heal_after_s=model.drift.heal_after.ms / 1000,
        probes=tuple(probes),
        imported=model.imported,
        latency_bounds_us=latency_bounds_us,
    )


def _shedding(model: Shedding) -> plan.Shedding:
    return plan.Shedding(
        memory_bytes=model.memory.bytes,
        queued=model.queued,
        lag_ms=model.lag.ms,
        strained_percent=model.strained,
        critical_percent=model.critical,
    )


def _tracing(model: Tracing, reads: Reads, out: Resolved) -> plan.Tracing:
    export = _export(model, ("tracing",), reads, out)
    return plan.Tracing(sample_ppm=model.sample, parents=model.parents, export=export)


def _export(
    model: OtlpExport, path: ConfigPath, reads: Reads, out: Resolved
) -> plan.OtlpExport | None:
    """Returns the collector that is written at a path of `[node]`; None if none is named there."""
    if model.endpoint is None:
        return None
    return plan.OtlpExport(
        endpoint=model.endpoint,
        service_name=model.service_name,
        timeout_ms=model.timeout.ms,
        headers=model.headers,
        tls=outlet_tls(model.tls, (*path, "tls"), reads, out) if model.has_tls else None,
    )


def _limit_store(model: LimitStore, reads: Reads, out: Resolved) -> plan.LimitStore:
    return plan.LimitStore(
        address=model.address,
        nodes=model.nodes,
        database=model.database,
        username=model.username or "",
        password=model.password or "",
        prefix=model.prefix,
        timeout_ms=model.timeout.ms,
        tls=outlet_tls(model.tls, ("limit_store", "tls"), reads, out) if model.has_tls else None,
    )


def _access_log(model: AccessLog, reads: Reads, out: Resolved) -> plan.AccessLog:
    return plan.AccessLog(
        format=model.format,
        sink=_sink(model),
        fields=tuple(model.fields or ()),
        template=model.template,
        otlp=_export(model.otlp, ("access_log", "otlp"), reads, out) if model.otlp else None,
    )


def _sink(model: AccessLog) -> plan.LogSink | None:
    sink = model.sink
    if not model.has_sink:
        return None
    if sink is None:
        return plan.LogSink(stdout=plan.StdoutSink())
    if sink.path is not None:
        if not sink.path.startswith("/"):
            raise Invalid(
                f'"{sink.path}" is not an absolute path', "write a path that begins with /"
            )
        return plan.LogSink(file=plan.FileSink(path=sink.path))
    return plan.LogSink(syslog=plan.SyslogSink(address=sink.syslog or ""))
