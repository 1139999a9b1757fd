"""Defines what the engine tells the rest of the node, in types of our own."""

from dataclasses import dataclass

import msgspec

from headgate.engines.status import LimitStoreStatus, ListenerStatus, WorkerStatus
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


class DataPlaneStatus(msgspec.Struct, frozen=True):
    """The answer of a data plane about itself; the words are those of `NativeStatus`."""

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
    access_log_failure: str = ""
    limit_store: LimitStoreStatus | None = None


class DataPlaneEvent(msgspec.Struct, frozen=True):
    """Something that happened there. `level`: error, warn or info; `kind`: a dotted word."""

    unix_ms: int
    level: str
    kind: str
    object_kind: str
    object_name: str
    message: str
