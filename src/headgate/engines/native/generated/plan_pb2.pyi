from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HelloRequest(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...

class HelloReply(_message.Message):
    __slots__ = ("version", "pid", "generation", "plan_digest", "workers", "draining")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    version: str
    pid: int
    generation: int
    plan_digest: str
    workers: int
    draining: bool
    def __init__(self, version: _Optional[str] = ..., pid: _Optional[int] = ..., generation: _Optional[int] = ..., plan_digest: _Optional[str] = ..., workers: _Optional[int] = ..., draining: _Optional[bool] = ...) -> None: ...

class ApplyMessage(_message.Message):
    __slots__ = ("begin", "changes", "blob", "end")
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    BLOB_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    begin: ApplyBegin
    changes: ApplyChanges
    blob: ApplyBlob
    end: ApplyEnd
    def __init__(self, begin: _Optional[_Union[ApplyBegin, _Mapping]] = ..., changes: _Optional[_Union[ApplyChanges, _Mapping]] = ..., blob: _Optional[_Union[ApplyBlob, _Mapping]] = ..., end: _Optional[_Union[ApplyEnd, _Mapping]] = ...) -> None: ...

class ApplyBegin(_message.Message):
    __slots__ = ("full", "base_digest")
    FULL_FIELD_NUMBER: _ClassVar[int]
    BASE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    full: bool
    base_digest: str
    def __init__(self, full: _Optional[bool] = ..., base_digest: _Optional[str] = ...) -> None: ...

class ApplyChanges(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[ObjectChange]
    def __init__(self, changes: _Optional[_Iterable[_Union[ObjectChange, _Mapping]]] = ...) -> None: ...

class ObjectChange(_message.Message):
    __slots__ = ("kind", "name", "delete", "canonical")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    CANONICAL_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    delete: bool
    canonical: bytes
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., delete: _Optional[bool] = ..., canonical: _Optional[bytes] = ...) -> None: ...

class ApplyBlob(_message.Message):
    __slots__ = ("sha256", "content")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    content: bytes
    def __init__(self, sha256: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class ApplyEnd(_message.Message):
    __slots__ = ("digest",)
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    digest: str
    def __init__(self, digest: _Optional[str] = ...) -> None: ...

class ApplyReply(_message.Message):
    __slots__ = ("outcome", "held_digest", "errors", "missing_blobs", "compile_us", "swap_us")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[ApplyReply.Outcome]
        OUTCOME_APPLIED: _ClassVar[ApplyReply.Outcome]
        OUTCOME_REFUSED: _ClassVar[ApplyReply.Outcome]
        OUTCOME_BASE_MISMATCH: _ClassVar[ApplyReply.Outcome]
        OUTCOME_BLOBS_MISSING: _ClassVar[ApplyReply.Outcome]
    OUTCOME_UNSPECIFIED: ApplyReply.Outcome
    OUTCOME_APPLIED: ApplyReply.Outcome
    OUTCOME_REFUSED: ApplyReply.Outcome
    OUTCOME_BASE_MISMATCH: ApplyReply.Outcome
    OUTCOME_BLOBS_MISSING: ApplyReply.Outcome
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    HELD_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    MISSING_BLOBS_FIELD_NUMBER: _ClassVar[int]
    COMPILE_US_FIELD_NUMBER: _ClassVar[int]
    SWAP_US_FIELD_NUMBER: _ClassVar[int]
    outcome: ApplyReply.Outcome
    held_digest: str
    errors: _containers.RepeatedCompositeFieldContainer[ObjectError]
    missing_blobs: _containers.RepeatedScalarFieldContainer[str]
    compile_us: int
    swap_us: int
    def __init__(self, outcome: _Optional[_Union[ApplyReply.Outcome, str]] = ..., held_digest: _Optional[str] = ..., errors: _Optional[_Iterable[_Union[ObjectError, _Mapping]]] = ..., missing_blobs: _Optional[_Iterable[str]] = ..., compile_us: _Optional[int] = ..., swap_us: _Optional[int] = ...) -> None: ...

class ObjectError(_message.Message):
    __slots__ = ("kind", "name", "path", "message", "passing")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PASSING_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    path: str
    message: str
    passing: bool
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., path: _Optional[str] = ..., message: _Optional[str] = ..., passing: _Optional[bool] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DrainReply(_message.Message):
    __slots__ = ("started",)
    STARTED_FIELD_NUMBER: _ClassVar[int]
    started: bool
    def __init__(self, started: _Optional[bool] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("endpoints",)
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    endpoints: bool
    def __init__(self, endpoints: _Optional[bool] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("plan_digest", "generation", "uptime_s", "draining", "workers", "listeners", "upstreams", "overload", "overload_cause", "traces", "limit_store", "access_log", "access_log_failure")
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    LISTENERS_FIELD_NUMBER: _ClassVar[int]
    UPSTREAMS_FIELD_NUMBER: _ClassVar[int]
    OVERLOAD_FIELD_NUMBER: _ClassVar[int]
    OVERLOAD_CAUSE_FIELD_NUMBER: _ClassVar[int]
    TRACES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_STORE_FIELD_NUMBER: _ClassVar[int]
    ACCESS_LOG_FIELD_NUMBER: _ClassVar[int]
    ACCESS_LOG_FAILURE_FIELD_NUMBER: _ClassVar[int]
    plan_digest: str
    generation: int
    uptime_s: float
    draining: bool
    workers: _containers.RepeatedCompositeFieldContainer[WorkerStatus]
    listeners: _containers.RepeatedCompositeFieldContainer[ListenerStatus]
    upstreams: _containers.RepeatedCompositeFieldContainer[UpstreamStatus]
    overload: str
    overload_cause: str
    traces: str
    limit_store: LimitStoreStatus
    access_log: str
    access_log_failure: str
    def __init__(self, plan_digest: _Optional[str] = ..., generation: _Optional[int] = ..., uptime_s: _Optional[float] = ..., draining: _Optional[bool] = ..., workers: _Optional[_Iterable[_Union[WorkerStatus, _Mapping]]] = ..., listeners: _Optional[_Iterable[_Union[ListenerStatus, _Mapping]]] = ..., upstreams: _Optional[_Iterable[_Union[UpstreamStatus, _Mapping]]] = ..., overload: _Optional[str] = ..., overload_cause: _Optional[str] = ..., traces: _Optional[str] = ..., limit_store: _Optional[_Union[LimitStoreStatus, _Mapping]] = ..., access_log: _Optional[str] = ..., access_log_failure: _Optional[str] = ...) -> None: ...

class LimitStoreStatus(_message.Message):
    __slots__ = ("ready", "away_since_s", "why")
    READY_FIELD_NUMBER: _ClassVar[int]
    AWAY_SINCE_S_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    ready: bool
    away_since_s: int
    why: str
    def __init__(self, ready: _Optional[bool] = ..., away_since_s: _Optional[int] = ..., why: _Optional[str] = ...) -> None: ...

class WorkerStatus(_message.Message):
    __slots__ = ("index", "connections", "requests", "restarts")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    index: int
    connections: int
    requests: int
    restarts: int
    def __init__(self, index: _Optional[int] = ..., connections: _Optional[int] = ..., requests: _Optional[int] = ..., restarts: _Optional[int] = ...) -> None: ...

class ListenerStatus(_message.Message):
    __slots__ = ("name", "addresses", "connections")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    connections: int
    def __init__(self, name: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., connections: _Optional[int] = ...) -> None: ...

class UpstreamStatus(_message.Message):
    __slots__ = ("name", "endpoints", "panic")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    PANIC_FIELD_NUMBER: _ClassVar[int]
    name: str
    endpoints: _containers.RepeatedCompositeFieldContainer[EndpointStatus]
    panic: bool
    def __init__(self, name: _Optional[str] = ..., endpoints: _Optional[_Iterable[_Union[EndpointStatus, _Mapping]]] = ..., panic: _Optional[bool] = ...) -> None: ...

class EndpointStatus(_message.Message):
    __slots__ = ("address", "resolved", "state", "active", "idle", "requests", "failures", "error", "takes", "reason", "changed_unix_ms", "why", "checks_passed", "checks_failed", "negotiated", "agent_percent")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    IDLE_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    TAKES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHANGED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    CHECKS_PASSED_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FAILED_FIELD_NUMBER: _ClassVar[int]
    NEGOTIATED_FIELD_NUMBER: _ClassVar[int]
    AGENT_PERCENT_FIELD_NUMBER: _ClassVar[int]
    address: str
    resolved: _containers.RepeatedScalarFieldContainer[str]
    state: str
    active: int
    idle: int
    requests: int
    failures: int
    error: str
    takes: bool
    reason: str
    changed_unix_ms: int
    why: str
    checks_passed: int
    checks_failed: int
    negotiated: str
    agent_percent: int
    def __init__(self, address: _Optional[str] = ..., resolved: _Optional[_Iterable[str]] = ..., state: _Optional[str] = ..., active: _Optional[int] = ..., idle: _Optional[int] = ..., requests: _Optional[int] = ..., failures: _Optional[int] = ..., error: _Optional[str] = ..., takes: _Optional[bool] = ..., reason: _Optional[str] = ..., changed_unix_ms: _Optional[int] = ..., why: _Optional[str] = ..., checks_passed: _Optional[int] = ..., checks_failed: _Optional[int] = ..., negotiated: _Optional[str] = ..., agent_percent: _Optional[int] = ...) -> None: ...

class MetricsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class MetricsChunk(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: bytes
    def __init__(self, text: _Optional[bytes] = ...) -> None: ...

class EventsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Event(_message.Message):
    __slots__ = ("unix_ms", "level", "kind", "object_kind", "object_name", "message")
    UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OBJECT_KIND_FIELD_NUMBER: _ClassVar[int]
    OBJECT_NAME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    unix_ms: int
    level: str
    kind: str
    object_kind: str
    object_name: str
    message: str
    def __init__(self, unix_ms: _Optional[int] = ..., level: _Optional[str] = ..., kind: _Optional[str] = ..., object_kind: _Optional[str] = ..., object_name: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class TapRequest(_message.Message):
    __slots__ = ("host", "path", "method", "listener", "route", "upstream", "status_from", "status_to", "client", "slower_us", "headers")
    HOST_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LISTENER_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    STATUS_FROM_FIELD_NUMBER: _ClassVar[int]
    STATUS_TO_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SLOWER_US_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    host: str
    path: str
    method: str
    listener: str
    route: str
    upstream: str
    status_from: int
    status_to: int
    client: str
    slower_us: int
    headers: bool
    def __init__(self, host: _Optional[str] = ..., path: _Optional[str] = ..., method: _Optional[str] = ..., listener: _Optional[str] = ..., route: _Optional[str] = ..., upstream: _Optional[str] = ..., status_from: _Optional[int] = ..., status_to: _Optional[int] = ..., client: _Optional[str] = ..., slower_us: _Optional[int] = ..., headers: _Optional[bool] = ...) -> None: ...

class TapChunk(_message.Message):
    __slots__ = ("lines", "dropped", "refused")
    LINES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    lines: bytes
    dropped: int
    refused: str
    def __init__(self, lines: _Optional[bytes] = ..., dropped: _Optional[int] = ..., refused: _Optional[str] = ...) -> None: ...

class SetEndpointRequest(_message.Message):
    __slots__ = ("upstream", "endpoint", "state")
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    upstream: str
    endpoint: str
    state: str
    def __init__(self, upstream: _Optional[str] = ..., endpoint: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class SetEndpointReply(_message.Message):
    __slots__ = ("error",)
    ERROR_FIELD_NUMBER: _ClassVar[int]
    error: str
    def __init__(self, error: _Optional[str] = ...) -> None: ...

class ReopenLogsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReopenLogsReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
