"""`[node]` into the plan's settings and into what stays with the node's own processes."""

from dataclasses import dataclass

from headgate.compile.resolved import Resolved
from headgate.kernel.errors import Invalid
from headgate.model.node import AccessLog, Node
from headgate.plan import settings as plan


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Settings that are no part of the plan: the control process and the supervisor keep them."""

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


def settings(model: Node) -> Resolved:
    """The plan's settings object."""
    out = Resolved()
    log = model.access_log
    access_log = out.attempt(("access_log", "sink"), lambda: _access_log(log)) if log else None
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
    )
    return out


def node_settings(model: Node) -> NodeSettings:
    """What stays with the node's own processes."""
    return NodeSettings(
        admin=tuple(model.admin),
        metrics=tuple(address for address in model.metrics if address not in model.admin),
        state_dir=model.state_dir,
        workers=model.workers,
        log_level=model.log_level,
    )


def _access_log(model: AccessLog) -> plan.AccessLog:
    return plan.AccessLog(format=model.format, sink=_sink(model))


def _sink(model: AccessLog) -> plan.LogSink:
    sink = model.sink
    if sink is None:
        return plan.LogSink(stdout=plan.StdoutSink())
    if sink.path is not None:
        if not sink.path.startswith("/"):
            raise Invalid(f'"{sink.path}" is not an absolute path', "a path that begins with /")
        return plan.LogSink(file=plan.FileSink(path=sink.path))
    return plan.LogSink(syslog=plan.SyslogSink(address=sink.syslog or ""))
