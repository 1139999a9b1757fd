"""The status of an engine, in the same words for both: `engine` in `GET /status`. Types only."""

from typing import Literal

import msgspec

from headgate.engines.types import UpstreamStatus

EngineState = Literal["unknown", "down", "waiting", "serving", "degraded", "draining"]
"""`unknown`: nothing has looked at it yet; `down`: no process of it runs; `waiting`: it runs and
has served no config yet; `degraded`: it runs, but does not answer, cannot take a config, or could
not go back to the one before; `draining`: it accepts no new connections."""

ApplyPhase = Literal["serving", "rolled-back", "rejected"]
"""The last phase of an apply, in the words that agents report: proven to serve, undone after the
engine had taken it, or refused with nothing changed."""


class LastApply(msgspec.Struct, frozen=True):
    """The last config that was given to the engine; `at` is when that ended, in Unix seconds.

    `digest` (hex) names the plan. `text` says why it does not serve, or what remained unknown.
    `applied_s` is how long it took until every new request met the new config, `serving_s` until
    that was proven; both are 0 where it does not serve.
    """

    at: float
    phase: ApplyPhase
    digest: str = ""
    text: str = ""
    applied_s: float = 0.0
    serving_s: float = 0.0


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker thread of a data plane; counts since it started."""

    index: int
    connections: int
    requests: int
    restarts: int


class ListenerStatus(msgspec.Struct, frozen=True):
    """One listener; `connections` are open now."""

    name: str
    addresses: list[str]
    connections: int


class LimitStoreStatus(msgspec.Struct, frozen=True):
    """The store of limits across nodes; `away_since_s` is in Unix seconds, 0 while it counts."""

    ready: bool
    away_since_s: int = 0
    why: str = ""


class NativeStatus(msgspec.Struct, frozen=True):
    """The part of the status that only a data plane has. `generation` counts the node's ones.

    `overload` is `strained`, `overloaded` or `critical`, and empty while there is not too much to
    do; `overload_cause` is `memory`, `queue` or `lag`. `traces` is `failing` while spans do not
    reach the collector, else empty; `access_log` does the same for log records. `limit_store` is
    None without one in the config. `access_log_failure`: why lines do not reach the sink of the
    access log, or why it could not be opened again; empty while neither is so.
    """

    generation: int
    workers: list[WorkerStatus]
    listeners: list[ListenerStatus]
    overload: str = ""
    overload_cause: str = ""
    traces: str = ""
    access_log: str = ""
    limit_store: LimitStoreStatus | None = None
    access_log_failure: str = ""


class CertificateStatus(msgspec.Struct, frozen=True):
    """A certificate that a watched nginx names; `not_after` is Unix seconds, 0 = not known.
    `issuer` is a common name, `sha256` the hash of the certificate in hex; empty = not known.

    `problems` are findings about it, such as `expires_soon: it expires in 9 days`.
    """

    path: str
    names: tuple[str, ...]
    not_after: float
    problems: tuple[str, ...] = ()
    issuer: str = ""
    sha256: str = ""


class NginxStatus(msgspec.Struct, frozen=True):
    """The part of the status that only an nginx has. Generations are those of releases, None where
    there is none or it does not answer; `desired` is the last proven one, `last_generation` that of
    the last apply.

    `draining` are old workers that finish. `warning` says what keeps it from being safe: no guard
    before boot, an nginx.conf that does not include us any more, an alarm of drift. `boot_safe` is
    None in mode observe, which applies nothing. `hold` is empty without one. `restarts` counts
    foreign restarts, `applied` and `rejected` count applies, since the control process began.
    `certificates` are known in mode observe. `endpoint_updates` are changes of endpoints without a
    reload, `endpoint_error` says why the last one took a reload. `waits_s`: in how many seconds a
    waiting change is applied, 0 where none waits.
    """

    root: str
    mode: str
    draining: int = 0
    desired: int | None = None
    on_disk: int | None = None
    running: int | None = None
    last_generation: int | None = None
    boot_safe: bool | None = None
    start: str = "own"
    conf: str = ""
    hold: str = ""
    warning: str = ""
    applied: int = 0
    rejected: int = 0
    restarts: int = 0
    endpoint_updates: int = 0
    endpoint_error: str = ""
    certificates: tuple[CertificateStatus, ...] = ()
    waits_s: float = 0.0


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One engine. `why` says why it is not `serving`; `version` is its own, empty = not known.

    `pid` is the data plane or nginx's master, None while none runs, `started_at` its start and
    `since` the moment when it began to serve the plan `digest`; both in Unix seconds, 0 = not
    known: `since` is forgotten with the control process. `workers` take new connections.
    `last_apply` is None if the control process has applied nothing since it began. `drift` says how
    what runs differs from what was applied; it is None before the first look, and always on the
    native engine, where nothing else can change what it serves. `upstreams` are those of the plan,
    or of the config of a watched nginx. `native` or `nginx` has what only that engine has; None
    while nothing is known.
    """

    kind: Literal["native", "nginx"]
    state: EngineState
    why: str = ""
    version: str = ""
    pid: int | None = None
    started_at: float = 0.0
    workers: int = 0
    digest: str = ""
    since: float = 0.0
    last_apply: LastApply | None = None
    drift: str | None = None
    upstreams: list[UpstreamStatus] = []
    native: NativeStatus | None = None
    nginx: NginxStatus | None = None
