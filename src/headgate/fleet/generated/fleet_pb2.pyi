from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AgentFrame(_message.Message):
    __slots__ = ("fence", "sequence", "hello", "heartbeat", "fetch", "report", "notices", "log_lines")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    FETCH_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    LOG_LINES_FIELD_NUMBER: _ClassVar[int]
    fence: int
    sequence: int
    hello: Hello
    heartbeat: Heartbeat
    fetch: Fetch
    report: Report
    notices: Notices
    log_lines: LogLines
    def __init__(self, fence: _Optional[int] = ..., sequence: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., fetch: _Optional[_Union[Fetch, _Mapping]] = ..., report: _Optional[_Union[Report, _Mapping]] = ..., notices: _Optional[_Union[Notices, _Mapping]] = ..., log_lines: _Optional[_Union[LogLines, _Mapping]] = ...) -> None: ...

class MasterFrame(_message.Message):
    __slots__ = ("fence", "sequence", "challenge", "welcome", "beat", "offer", "chunks", "goodbye", "order")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    BEAT_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    fence: int
    sequence: int
    challenge: Challenge
    welcome: Welcome
    beat: Beat
    offer: Offer
    chunks: Chunks
    goodbye: Goodbye
    order: Order
    def __init__(self, fence: _Optional[int] = ..., sequence: _Optional[int] = ..., challenge: _Optional[_Union[Challenge, _Mapping]] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., beat: _Optional[_Union[Beat, _Mapping]] = ..., offer: _Optional[_Union[Offer, _Mapping]] = ..., chunks: _Optional[_Union[Chunks, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., order: _Optional[_Union[Order, _Mapping]] = ...) -> None: ...

class Version(_message.Message):
    __slots__ = ("revision", "hash")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    revision: int
    hash: str
    def __init__(self, revision: _Optional[int] = ..., hash: _Optional[str] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("scope", "acknowledged", "applied", "serving", "refused", "busy")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    scope: str
    acknowledged: Version
    applied: Version
    serving: Version
    refused: Version
    busy: bool
    def __init__(self, scope: _Optional[str] = ..., acknowledged: _Optional[_Union[Version, _Mapping]] = ..., applied: _Optional[_Union[Version, _Mapping]] = ..., serving: _Optional[_Union[Version, _Mapping]] = ..., refused: _Optional[_Union[Version, _Mapping]] = ..., busy: _Optional[bool] = ...) -> None: ...

class Instance(_message.Message):
    __slots__ = ("name", "engine", "version", "capabilities")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    engine: str
    version: str
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., engine: _Optional[str] = ..., version: _Optional[str] = ..., capabilities: _Optional[_Iterable[str]] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("code", "transient", "object", "file", "line", "text")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TRANSIENT_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    code: str
    transient: bool
    object: str
    file: str
    line: int
    text: str
    def __init__(self, code: _Optional[str] = ..., transient: _Optional[bool] = ..., object: _Optional[str] = ..., file: _Optional[str] = ..., line: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("agent", "epoch", "program", "oldest_protocol", "newest_protocol", "instances", "held", "last_fault", "clock_ms", "proof", "identity", "fault_of", "can_upgrade", "upgrade_ended", "orders", "failed_starts")
    AGENT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    OLDEST_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    NEWEST_PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    LAST_FAULT_FIELD_NUMBER: _ClassVar[int]
    CLOCK_MS_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    FAULT_OF_FIELD_NUMBER: _ClassVar[int]
    CAN_UPGRADE_FIELD_NUMBER: _ClassVar[int]
    UPGRADE_ENDED_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    FAILED_STARTS_FIELD_NUMBER: _ClassVar[int]
    agent: str
    epoch: int
    program: str
    oldest_protocol: int
    newest_protocol: int
    instances: _containers.RepeatedCompositeFieldContainer[Instance]
    held: Held
    last_fault: Fault
    clock_ms: int
    proof: Proof
    identity: Identity
    fault_of: Version
    can_upgrade: bool
    upgrade_ended: UpgradeEnded
    orders: _containers.RepeatedScalarFieldContainer[str]
    failed_starts: int
    def __init__(self, agent: _Optional[str] = ..., epoch: _Optional[int] = ..., program: _Optional[str] = ..., oldest_protocol: _Optional[int] = ..., newest_protocol: _Optional[int] = ..., instances: _Optional[_Iterable[_Union[Instance, _Mapping]]] = ..., held: _Optional[_Union[Held, _Mapping]] = ..., last_fault: _Optional[_Union[Fault, _Mapping]] = ..., clock_ms: _Optional[int] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., identity: _Optional[_Union[Identity, _Mapping]] = ..., fault_of: _Optional[_Union[Version, _Mapping]] = ..., can_upgrade: _Optional[bool] = ..., upgrade_ended: _Optional[_Union[UpgradeEnded, _Mapping]] = ..., orders: _Optional[_Iterable[str]] = ..., failed_starts: _Optional[int] = ...) -> None: ...

class Upgrade(_message.Message):
    __slots__ = ("order", "program")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    order: int
    program: str
    def __init__(self, order: _Optional[int] = ..., program: _Optional[str] = ...) -> None: ...

class UpgradeEnded(_message.Message):
    __slots__ = ("order", "program", "text")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    order: int
    program: str
    text: str
    def __init__(self, order: _Optional[int] = ..., program: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Identity(_message.Message):
    __slots__ = ("authorities", "certificate")
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    authorities: _containers.RepeatedScalarFieldContainer[str]
    certificate: str
    def __init__(self, authorities: _Optional[_Iterable[str]] = ..., certificate: _Optional[str] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("certificate_pem", "signature")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: bytes
    signature: bytes
    def __init__(self, certificate_pem: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Challenge(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    def __init__(self, nonce: _Optional[bytes] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("protocol", "heartbeat_ms", "chunk_bytes", "clock_ms")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
    CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    CLOCK_MS_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    heartbeat_ms: int
    chunk_bytes: int
    clock_ms: int
    def __init__(self, protocol: _Optional[int] = ..., heartbeat_ms: _Optional[int] = ..., chunk_bytes: _Optional[int] = ..., clock_ms: _Optional[int] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("held", "wants_answer", "clock_ms", "figures", "identity", "inventory", "instances", "latency", "figures_age_ms", "upgrade_ended", "drift")
    class FiguresEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    HELD_FIELD_NUMBER: _ClassVar[int]
    WANTS_ANSWER_FIELD_NUMBER: _ClassVar[int]
    CLOCK_MS_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    INVENTORY_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    FIGURES_AGE_MS_FIELD_NUMBER: _ClassVar[int]
    UPGRADE_ENDED_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    held: Held
    wants_answer: bool
    clock_ms: int
    figures: _containers.ScalarMap[str, float]
    identity: Identity
    inventory: Inventory
    instances: _containers.RepeatedCompositeFieldContainer[Instance]
    latency: Latency
    figures_age_ms: int
    upgrade_ended: UpgradeEnded
    drift: Drift
    def __init__(self, held: _Optional[_Union[Held, _Mapping]] = ..., wants_answer: _Optional[bool] = ..., clock_ms: _Optional[int] = ..., figures: _Optional[_Mapping[str, float]] = ..., identity: _Optional[_Union[Identity, _Mapping]] = ..., inventory: _Optional[_Union[Inventory, _Mapping]] = ..., instances: _Optional[_Iterable[_Union[Instance, _Mapping]]] = ..., latency: _Optional[_Union[Latency, _Mapping]] = ..., figures_age_ms: _Optional[int] = ..., upgrade_ended: _Optional[_Union[UpgradeEnded, _Mapping]] = ..., drift: _Optional[_Union[Drift, _Mapping]] = ...) -> None: ...

class Drift(_message.Message):
    __slots__ = ("since_ms", "states", "files", "total", "policy", "held", "alarm", "heal")
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    ALARM_FIELD_NUMBER: _ClassVar[int]
    HEAL_FIELD_NUMBER: _ClassVar[int]
    since_ms: int
    states: _containers.RepeatedScalarFieldContainer[str]
    files: _containers.RepeatedCompositeFieldContainer[DriftedFile]
    total: int
    policy: str
    held: str
    alarm: str
    heal: HealEnd
    def __init__(self, since_ms: _Optional[int] = ..., states: _Optional[_Iterable[str]] = ..., files: _Optional[_Iterable[_Union[DriftedFile, _Mapping]]] = ..., total: _Optional[int] = ..., policy: _Optional[str] = ..., held: _Optional[str] = ..., alarm: _Optional[str] = ..., heal: _Optional[_Union[HealEnd, _Mapping]] = ...) -> None: ...

class DriftedFile(_message.Message):
    __slots__ = ("path", "how", "since_ms", "diff", "next", "next_diff")
    PATH_FIELD_NUMBER: _ClassVar[int]
    HOW_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    DIFF_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    NEXT_DIFF_FIELD_NUMBER: _ClassVar[int]
    path: str
    how: str
    since_ms: int
    diff: str
    next: str
    next_diff: str
    def __init__(self, path: _Optional[str] = ..., how: _Optional[str] = ..., since_ms: _Optional[int] = ..., diff: _Optional[str] = ..., next: _Optional[str] = ..., next_diff: _Optional[str] = ...) -> None: ...

class HealEnd(_message.Message):
    __slots__ = ("order", "error")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    order: int
    error: str
    def __init__(self, order: _Optional[int] = ..., error: _Optional[str] = ...) -> None: ...

class Latency(_message.Message):
    __slots__ = ("bounds_s", "counts")
    BOUNDS_S_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    bounds_s: _containers.RepeatedScalarFieldContainer[float]
    counts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, bounds_s: _Optional[_Iterable[float]] = ..., counts: _Optional[_Iterable[int]] = ...) -> None: ...

class Inventory(_message.Message):
    __slots__ = ("total", "certificates")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    total: int
    certificates: _containers.RepeatedCompositeFieldContainer[SeenCertificate]
    def __init__(self, total: _Optional[int] = ..., certificates: _Optional[_Iterable[_Union[SeenCertificate, _Mapping]]] = ...) -> None: ...

class SeenCertificate(_message.Message):
    __slots__ = ("name", "names", "issuer", "fingerprint", "not_after_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    names: _containers.RepeatedScalarFieldContainer[str]
    issuer: str
    fingerprint: str
    not_after_ms: int
    def __init__(self, name: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., issuer: _Optional[str] = ..., fingerprint: _Optional[str] = ..., not_after_ms: _Optional[int] = ...) -> None: ...

class Beat(_message.Message):
    __slots__ = ("renew_within_ms", "upgrade")
    RENEW_WITHIN_MS_FIELD_NUMBER: _ClassVar[int]
    UPGRADE_FIELD_NUMBER: _ClassVar[int]
    renew_within_ms: int
    upgrade: Upgrade
    def __init__(self, renew_within_ms: _Optional[int] = ..., upgrade: _Optional[_Union[Upgrade, _Mapping]] = ...) -> None: ...

class Offer(_message.Message):
    __slots__ = ("nonce", "scope", "version", "base", "manifest", "signature", "rollout", "wave", "within_ms", "binding", "contents")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    WAVE_FIELD_NUMBER: _ClassVar[int]
    WITHIN_MS_FIELD_NUMBER: _ClassVar[int]
    BINDING_FIELD_NUMBER: _ClassVar[int]
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    scope: str
    version: Version
    base: str
    manifest: bytes
    signature: bytes
    rollout: str
    wave: int
    within_ms: int
    binding: bytes
    contents: bytes
    def __init__(self, nonce: _Optional[int] = ..., scope: _Optional[str] = ..., version: _Optional[_Union[Version, _Mapping]] = ..., base: _Optional[str] = ..., manifest: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., rollout: _Optional[str] = ..., wave: _Optional[int] = ..., within_ms: _Optional[int] = ..., binding: _Optional[bytes] = ..., contents: _Optional[bytes] = ...) -> None: ...

class Fetch(_message.Message):
    __slots__ = ("wants",)
    WANTS_FIELD_NUMBER: _ClassVar[int]
    wants: _containers.RepeatedCompositeFieldContainer[Want]
    def __init__(self, wants: _Optional[_Iterable[_Union[Want, _Mapping]]] = ...) -> None: ...

class Want(_message.Message):
    __slots__ = ("sha256", "offset")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    offset: int
    def __init__(self, sha256: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class Chunks(_message.Message):
    __slots__ = ("chunks", "unknown")
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    chunks: _containers.RepeatedCompositeFieldContainer[Chunk]
    unknown: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, chunks: _Optional[_Iterable[_Union[Chunk, _Mapping]]] = ..., unknown: _Optional[_Iterable[str]] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("sha256", "offset", "total", "data")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    offset: int
    total: int
    data: bytes
    def __init__(self, sha256: _Optional[str] = ..., offset: _Optional[int] = ..., total: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("nonce", "scope", "version", "phase", "warnings", "fault", "effective_hash", "held")
    class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PHASE_UNSPECIFIED: _ClassVar[Report.Phase]
        PHASE_RECEIVED: _ClassVar[Report.Phase]
        PHASE_VALIDATED: _ClassVar[Report.Phase]
        PHASE_APPLIED: _ClassVar[Report.Phase]
        PHASE_SERVING: _ClassVar[Report.Phase]
        PHASE_ROLLED_BACK: _ClassVar[Report.Phase]
        PHASE_REJECTED: _ClassVar[Report.Phase]
    PHASE_UNSPECIFIED: Report.Phase
    PHASE_RECEIVED: Report.Phase
    PHASE_VALIDATED: Report.Phase
    PHASE_APPLIED: Report.Phase
    PHASE_SERVING: Report.Phase
    PHASE_ROLLED_BACK: Report.Phase
    PHASE_REJECTED: Report.Phase
    NONCE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    FAULT_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_HASH_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    scope: str
    version: Version
    phase: Report.Phase
    warnings: _containers.RepeatedScalarFieldContainer[str]
    fault: Fault
    effective_hash: str
    held: Held
    def __init__(self, nonce: _Optional[int] = ..., scope: _Optional[str] = ..., version: _Optional[_Union[Version, _Mapping]] = ..., phase: _Optional[_Union[Report.Phase, str]] = ..., warnings: _Optional[_Iterable[str]] = ..., fault: _Optional[_Union[Fault, _Mapping]] = ..., effective_hash: _Optional[str] = ..., held: _Optional[_Union[Held, _Mapping]] = ...) -> None: ...

class Notices(_message.Message):
    __slots__ = ("notices", "dropped")
    NOTICES_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    notices: _containers.RepeatedCompositeFieldContainer[Notice]
    dropped: int
    def __init__(self, notices: _Optional[_Iterable[_Union[Notice, _Mapping]]] = ..., dropped: _Optional[int] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("level", "kind", "object", "text", "at_ms", "count")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    level: str
    kind: str
    object: str
    text: str
    at_ms: int
    count: int
    def __init__(self, level: _Optional[str] = ..., kind: _Optional[str] = ..., object: _Optional[str] = ..., text: _Optional[str] = ..., at_ms: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("nonce", "body", "binding")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    BINDING_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    body: bytes
    binding: bytes
    def __init__(self, nonce: _Optional[int] = ..., body: _Optional[bytes] = ..., binding: _Optional[bytes] = ...) -> None: ...

class OrderBody(_message.Message):
    __slots__ = ("drift_policy", "heal", "log_search", "upgrade")
    DRIFT_POLICY_FIELD_NUMBER: _ClassVar[int]
    HEAL_FIELD_NUMBER: _ClassVar[int]
    LOG_SEARCH_FIELD_NUMBER: _ClassVar[int]
    UPGRADE_FIELD_NUMBER: _ClassVar[int]
    drift_policy: DriftPolicy
    heal: Heal
    log_search: LogSearch
    upgrade: Upgrade
    def __init__(self, drift_policy: _Optional[_Union[DriftPolicy, _Mapping]] = ..., heal: _Optional[_Union[Heal, _Mapping]] = ..., log_search: _Optional[_Union[LogSearch, _Mapping]] = ..., upgrade: _Optional[_Union[Upgrade, _Mapping]] = ...) -> None: ...

class LogSearch(_message.Message):
    __slots__ = ("number", "since_ms", "status", "host", "path", "text", "limit", "source")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    number: int
    since_ms: int
    status: str
    host: str
    path: str
    text: str
    limit: int
    source: str
    def __init__(self, number: _Optional[int] = ..., since_ms: _Optional[int] = ..., status: _Optional[str] = ..., host: _Optional[str] = ..., path: _Optional[str] = ..., text: _Optional[str] = ..., limit: _Optional[int] = ..., source: _Optional[str] = ...) -> None: ...

class LogLines(_message.Message):
    __slots__ = ("number", "lines", "last", "cut", "error", "read_bytes")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    CUT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    number: int
    lines: _containers.RepeatedCompositeFieldContainer[LogLine]
    last: bool
    cut: str
    error: str
    read_bytes: int
    def __init__(self, number: _Optional[int] = ..., lines: _Optional[_Iterable[_Union[LogLine, _Mapping]]] = ..., last: _Optional[bool] = ..., cut: _Optional[str] = ..., error: _Optional[str] = ..., read_bytes: _Optional[int] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("at_ms", "text")
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    at_ms: int
    text: str
    def __init__(self, at_ms: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class DriftPolicy(_message.Message):
    __slots__ = ("policy", "heal_after_ms")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    HEAL_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    policy: str
    heal_after_ms: int
    def __init__(self, policy: _Optional[str] = ..., heal_after_ms: _Optional[int] = ...) -> None: ...

class Heal(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: int
    def __init__(self, order: _Optional[int] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("code", "text", "retry_after_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    code: str
    text: str
    retry_after_ms: int
    def __init__(self, code: _Optional[str] = ..., text: _Optional[str] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...
