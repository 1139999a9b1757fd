"""Defines what the engine tells the rest of the node, in types of our own."""

from dataclasses import dataclass

import msgspec

from headgate.engines.types import ObjectError, UpstreamStatus


class TooLargeError(Exception):
    """An object or a blob is larger than a message may be; a mistake in the config."""

    def __init__(self, kind: str, name: str, size: int, limit: int) -> None:
        super().__init__(f"{kind} {name} has {size} bytes; at most {limit} can be sent")
        self.kind = kind
        self.name = name


@dataclass(frozen=True, slots=True)
class Applied:
    """Every worker serves the plan. `changed` is False if they served it already."""

    digest: str
    changed: bool
    compile_us: int = 0
    swap_us: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing changed; why, per object."""

    errors: tuple[ObjectError, ...]


class Identity(msgspec.Struct, frozen=True):
    """The data plane that answers, and what it serves (hex digest)."""

    version: str
    pid: int
    generation: int
    plan_digest: str
    workers: int
    draining: bool


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker thread; counts since it started."""

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


class DataPlaneStatus(msgspec.Struct, frozen=True):
    """The present state of a data plane.

    `overload` is `strained`, `overloaded` or `critical`, and empty while there is not too much to
    do; `overload_cause` is `memory`, `queue` or `lag`. `traces` is `failing` while spans do not
    reach the collector, else empty; `access_log` does the same for log records. `limit_store` is
    None without one in the config.
    """

    plan_digest: str
    generation: int
    uptime_s: float
    draining: bool
    workers: list[WorkerStatus]
    listeners: list[ListenerStatus]
    upstreams: list[UpstreamStatus]
    overload: str = ""
    overload_cause: str = ""
    traces: str = ""
    access_log: str = ""
    limit_store: LimitStoreStatus | None = None


class DataPlaneEvent(msgspec.Struct, frozen=True):
    """Something that happened there. `level`: error, warn or info; `kind`: a dotted word."""

    unix_ms: int
    level: str
    kind: str
    object_kind: str
    object_name: str
    message: str
