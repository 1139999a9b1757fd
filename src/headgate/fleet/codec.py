"""Frames as bytes: the messages of proto/headgate/v1/fleet.proto. Never trusts what it decodes:
whatever is no frame raises Invalid."""

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError

from headgate.fleet import chunk_codec
from headgate.fleet import frames as fr
from headgate.fleet import order_codec as oc
from headgate.fleet.generated import fleet_pb2 as pb
from headgate.fleet.orders import Order, Upgrade
from headgate.fleet.searches import LogLines
from headgate.kernel.errors import Invalid

MAX_FRAME = 8 << 20
_MS = 1000
_AUTHORITIES, _PIN, _SERIAL, _NAME, _ORDERS = 8, 80, 64, 255, 32
_LATEST_MS = 253_402_300_799_999  # the end of the year 9999
_OLDEST_MS = (1 << 32) - 1
_BUCKETS = 64
_SHARED_BYTES = 1_024
_NUL, _SHOWN = b"\0", "\ufffd"
_PROGRAM, _REASON = 64, 2_000
MOST_CERTIFICATES, MOST_NAMES = 200, 50
"""The most certificates of its node, and the most names of each, that an agent reports."""
_Message: TypeAlias = Any  # protobuf's own types say no more


def encode_agent(frame: fr.AgentFrame) -> bytes:
    """Returns the bytes of an agent's frame."""
    message = pb.AgentFrame(fence=frame.fence, sequence=frame.sequence)
    body = frame.body
    if isinstance(body, fr.Heartbeat):
        message.heartbeat.CopyFrom(_heartbeat(body))
    elif isinstance(body, fr.Report):
        message.report.CopyFrom(_report(body))
    elif isinstance(body, fr.Fetch):
        wants = [pb.Want(sha256=want.sha256, offset=want.offset) for want in body.wants]
        message.fetch.CopyFrom(pb.Fetch(wants=wants))
    elif isinstance(body, fr.Notices):
        message.notices.CopyFrom(_notices(body))
    elif isinstance(body, LogLines):
        message.log_lines.CopyFrom(oc.lines_message(body))
    else:
        message.hello.CopyFrom(_hello_message(body))
    return bytes(message.SerializeToString())


def encode_master(frame: fr.MasterFrame) -> bytes:
    """Returns the bytes of a master's frame."""
    body = frame.body
    message = pb.MasterFrame(fence=frame.fence, sequence=frame.sequence)
    if isinstance(body, fr.Offer):
        message.offer.CopyFrom(_offer(body))
    elif isinstance(body, fr.Chunks):
        message.chunks.CopyFrom(chunk_codec.message_of(body))
    elif isinstance(body, fr.Welcome):
        message.welcome.protocol = body.protocol
        message.welcome.heartbeat_ms = round(body.heartbeat_s * _MS)
        message.welcome.chunk_bytes = body.chunk_bytes
        message.welcome.clock_ms = body.clock_ms
    elif isinstance(body, Order):
        message.order.CopyFrom(oc.order_message(body))
    elif isinstance(body, fr.Goodbye):
        message.goodbye.code = body.code
        message.goodbye.text = body.text
        message.goodbye.retry_after_ms = round(body.retry_after_s * _MS)
    elif isinstance(body, fr.Challenge):
        message.challenge.nonce = body.nonce
    else:
        message.beat.renew_within_ms = round(body.renew_within_s * _MS)
        if body.upgrade is not None:
            order = pb.Upgrade(order=body.upgrade.order, program=body.upgrade.program)
            message.beat.upgrade.CopyFrom(order)
        message.beat.SetInParent()
    return bytes(message.SerializeToString())


def decode_agent(data: bytes) -> fr.AgentFrame:
    """Returns the frame of an agent. Raises Invalid if `data` is none."""
    message = _parsed(pb.AgentFrame(), data)
    if _NUL in data:
        _show_nul(message)
    name = message.WhichOneof("body")
    read = _AGENT.get(name or "")
    if read is None:
        raise Invalid("the frame says nothing that this master knows", "send a body")
    return fr.AgentFrame(message.fence, message.sequence, read(getattr(message, name)))


def decode_master(data: bytes) -> fr.MasterFrame:
    """Returns the frame of a master. Raises Invalid if `data` is none."""
    message = _parsed(pb.MasterFrame(), data)
    name = message.WhichOneof("body")
    read = _MASTER.get(name or "")
    if read is None:
        raise Invalid("the frame says nothing that this agent knows", "send a body")
    return fr.MasterFrame(message.fence, message.sequence, read(getattr(message, name)))


def _parsed(message: _Message, data: bytes) -> _Message:
    if len(data) > MAX_FRAME:
        raise Invalid(f"a frame of {len(data)} bytes is too large", f"at most {MAX_FRAME}")
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise Invalid(f"this is no frame ({error})", "send a message of fleet.proto") from None
    return message


def _show_nul(message: _Message) -> None:
    """Replaces NUL in texts by the replacement character: PostgreSQL stores no text with it, and
    no text of a person has it."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            if isinstance(value, str):
                setattr(message, field.name, value.replace("\0", _SHOWN))
            else:
                value[:] = [one.replace("\0", _SHOWN) for one in value]
        elif _is_map(field):  # of figures by name: no name of ours has it
            for name in [name for name in value if "\0" in name]:
                del value[name]
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for one in (value,) if hasattr(value, "ListFields") else value:
                _show_nul(one)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _version(message: _Message) -> fr.Version:
    return fr.Version(message.revision, message.hash)


def _version_message(version: fr.Version | None) -> _Message:
    return None if version is None else pb.Version(revision=version.revision, hash=version.hash)


def _held(message: _Message) -> fr.Held:
    """Returns the versions that an agent has; one object for all agents that have the same."""
    data = message.SerializeToString()
    return _shared_held(data) if len(data) <= _SHARED_BYTES else _read_held(message)


@lru_cache(maxsize=1_024)
def _shared_held(data: bytes) -> fr.Held:
    return _read_held(pb.Held.FromString(data))


def _read_held(message: _Message) -> fr.Held:
    def of(name: str) -> fr.Version | None:
        return _version(getattr(message, name)) if message.HasField(name) else None

    return fr.Held(
        scope=message.scope,
        acknowledged=of("acknowledged"),
        applied=of("applied"),
        serving=of("serving"),
        refused=of("refused"),
        is_busy=message.busy,
    )


def _held_message(held: fr.Held) -> _Message:
    return pb.Held(
        scope=held.scope,
        acknowledged=_version_message(held.acknowledged),
        applied=_version_message(held.applied),
        serving=_version_message(held.serving),
        refused=_version_message(held.refused),
        busy=held.is_busy,
    )


def _fault(message: _Message, name: str) -> fr.Fault | None:
    if not message.HasField(name):
        return None
    fault = getattr(message, name)
    return fr.Fault(fault.code, fault.text, fault.transient, fault.object, fault.file, fault.line)


def _fault_message(fault: fr.Fault | None) -> _Message:
    if fault is None:
        return None
    return pb.Fault(
        code=fault.code,
        transient=fault.is_transient,
        object=fault.object,
        file=fault.file,
        line=fault.line,
        text=fault.text,
    )


def _hello_message(hello: fr.Hello) -> _Message:
    proof = None
    if hello.proof is not None:
        of = hello.proof
        proof = pb.Proof(certificate_pem=of.certificate_pem, signature=of.signature)
    return pb.Hello(
        agent=hello.agent,
        epoch=hello.epoch,
        program=hello.program,
        oldest_protocol=hello.oldest_protocol,
        newest_protocol=hello.newest_protocol,
        instances=_instance_messages(hello.instances),
        held=_held_message(hello.held),
        last_fault=_fault_message(hello.last_fault),
        clock_ms=hello.clock_ms,
        proof=proof,
        identity=_identity_message(hello.identity),
        fault_of=_version_message(hello.fault_of),
        can_upgrade=hello.can_upgrade,
        upgrade_ended=_ended_message(hello.upgrade_ended),
        orders=hello.orders,
        failed_starts=hello.failed_starts,
    )


def _ended_message(ended: fr.UpgradeEnded | None) -> _Message:
    if ended is None:
        return None
    return pb.UpgradeEnded(order=ended.order, program=ended.program, text=ended.text)


def _upgrade_ended(message: _Message) -> fr.UpgradeEnded | None:
    if not message.HasField("upgrade_ended"):
        return None
    ended = message.upgrade_ended
    return fr.UpgradeEnded(ended.order, ended.program[:_PROGRAM], ended.text[:_REASON])


def _instance_messages(instances: tuple[fr.Instance, ...]) -> list[_Message]:
    return [
        pb.Instance(
            name=one.name, engine=one.engine, version=one.version, capabilities=one.capabilities
        )
        for one in instances
    ]


def _instances(message: _Message) -> tuple[fr.Instance, ...]:
    return tuple(
        fr.Instance(one.name, one.engine, one.version, tuple(one.capabilities))
        for one in message.instances
    )


def _identity_message(identity: fr.Identity | None) -> _Message:
    if identity is None:
        return None
    return pb.Identity(authorities=identity.authorities, certificate=identity.certificate)


def _identity(message: _Message) -> fr.Identity | None:
    if not message.HasField("identity"):
        return None
    found = message.identity
    authorities = tuple(one[:_PIN] for one in found.authorities[:_AUTHORITIES])
    return fr.Identity(authorities, found.certificate[:_SERIAL])


def _read_hello(message: _Message) -> fr.Hello:
    proof = None
    if message.HasField("proof"):
        proof = fr.Proof(message.proof.certificate_pem, message.proof.signature)
    return fr.Hello(
        agent=message.agent,
        epoch=message.epoch,
        program=message.program,
        instances=_instances(message),
        held=_held(message.held),
        last_fault=_fault(message, "last_fault"),
        clock_ms=message.clock_ms,
        proof=proof,
        identity=_identity(message),
        oldest_protocol=message.oldest_protocol,
        newest_protocol=message.newest_protocol,
        fault_of=_version(message.fault_of) if message.HasField("fault_of") else None,
        can_upgrade=message.can_upgrade,
        upgrade_ended=_upgrade_ended(message),
        orders=tuple(one[:_SERIAL] for one in message.orders[:_ORDERS]),
        failed_starts=message.failed_starts,
    )


def _heartbeat(beat: fr.Heartbeat) -> _Message:
    return pb.Heartbeat(
        held=_held_message(beat.held),
        wants_answer=beat.wants_answer,
        clock_ms=beat.clock_ms,
        figures=beat.figures,
        identity=_identity_message(beat.identity),
        inventory=_inventory_message(beat.inventory),
        instances=_instance_messages(beat.instances),
        latency=_latency_message(beat.latency),
        figures_age_ms=min(beat.figures_age_ms, _OLDEST_MS),
        upgrade_ended=_ended_message(beat.upgrade_ended),
        drift=oc.drift_message(beat.drift),
    )


def _read_heartbeat(message: _Message) -> fr.Heartbeat:
    return fr.Heartbeat(
        held=_held(message.held),
        wants_answer=message.wants_answer,
        clock_ms=message.clock_ms,
        figures=dict(message.figures),
        identity=_identity(message),
        inventory=_inventory(message),
        instances=_instances(message),
        latency=_latency(message),
        figures_age_ms=message.figures_age_ms,
        upgrade_ended=_upgrade_ended(message),
        drift=oc.read_drift(message),
    )


def _latency_message(latency: fr.Latency | None) -> _Message:
    if latency is None:
        return None
    return pb.Latency(bounds_s=latency.bounds_s, counts=latency.counts)


def _latency(message: _Message) -> fr.Latency | None:
    """Returns the buckets; None for what are none: a heartbeat counts for more than its figures."""
    if not message.HasField("latency"):
        return None
    bounds, counts = tuple(message.latency.bounds_s), tuple(message.latency.counts)
    is_rising = all(before < after for before, after in itertools.pairwise((0.0, *bounds)))
    if not bounds or len(bounds) > _BUCKETS or len(counts) != len(bounds) + 1 or not is_rising:
        return None
    return fr.Latency(bounds, counts)


def _inventory_message(inventory: fr.Inventory | None) -> _Message:
    if inventory is None:
        return None
    listed = [
        pb.SeenCertificate(
            name=one.name,
            names=one.names,
            issuer=one.issuer,
            fingerprint=one.fingerprint,
            not_after_ms=one.not_after_ms,
        )
        for one in inventory.certificates
    ]
    return pb.Inventory(total=inventory.total, certificates=listed)


def _inventory(message: _Message) -> fr.Inventory | None:
    if not message.HasField("inventory"):
        return None
    listed = tuple(
        fr.SeenCertificate(
            name=one.name[:_NAME],
            names=tuple(name[:_NAME] for name in one.names[:MOST_NAMES]),
            issuer=one.issuer[:_NAME],
            fingerprint=one.fingerprint[:_SERIAL],
            not_after_ms=min(one.not_after_ms, _LATEST_MS),
        )
        for one in message.inventory.certificates[:MOST_CERTIFICATES]
    )
    return fr.Inventory(message.inventory.total, listed)


def _read_fetch(message: _Message) -> fr.Fetch:
    return fr.Fetch(tuple(fr.Want(want.sha256, want.offset) for want in message.wants))


def _report(report: fr.Report) -> _Message:
    return pb.Report(
        nonce=report.nonce,
        scope=report.scope,
        version=_version_message(report.version),
        phase=pb.Report.Phase.Name(report.phase.value),
        warnings=report.warnings,
        fault=_fault_message(report.fault),
        effective_hash=report.effective_hash,
        held=_held_message(report.held),
    )


def _read_report(message: _Message) -> fr.Report:
    try:
        phase = fr.Phase(message.phase)
    except ValueError:
        raise Invalid(f"{message.phase} is no phase", "send one of fleet.proto") from None
    if phase is fr.Phase.OFFERED:
        raise Invalid("the report has no phase", "send one of fleet.proto")
    return fr.Report(
        nonce=message.nonce,
        scope=message.scope,
        version=_version(message.version),
        phase=phase,
        held=_held(message.held),
        warnings=tuple(message.warnings),
        fault=_fault(message, "fault"),
        effective_hash=message.effective_hash,
    )


def _notices(body: fr.Notices) -> _Message:
    notices = [
        pb.Notice(
            level=one.level,
            kind=one.kind,
            object=one.object,
            text=one.text,
            at_ms=one.at_ms,
            count=one.count,
        )
        for one in body.notices
    ]
    return pb.Notices(notices=notices, dropped=body.dropped)


def _read_notices(message: _Message) -> fr.Notices:
    read = (
        fr.Notice(one.level, one.kind, one.object, one.text, one.at_ms, one.count)
        for one in message.notices
    )
    return fr.Notices(tuple(read), message.dropped)


def _offer(offer: fr.Offer) -> _Message:
    return pb.Offer(
        nonce=offer.nonce,
        scope=offer.scope,
        version=_version_message(offer.version),
        base=offer.base,
        manifest=offer.manifest,
        signature=offer.signature,
        rollout=offer.rollout,
        wave=offer.wave,
        within_ms=round(offer.within_s * _MS),
        binding=offer.binding,
        contents=offer.contents,
    )


def _read_offer(message: _Message) -> fr.Offer:
    return fr.Offer(
        nonce=message.nonce,
        scope=message.scope,
        version=_version(message.version),
        manifest=message.manifest,
        signature=message.signature,
        base=message.base,
        rollout=message.rollout,
        wave=message.wave,
        within_s=message.within_ms / _MS,
        binding=message.binding,
        contents=message.contents,
    )


def _read_welcome(message: _Message) -> fr.Welcome:
    heartbeat_s = message.heartbeat_ms / _MS
    return fr.Welcome(message.protocol, heartbeat_s, message.chunk_bytes, message.clock_ms)


def _read_beat(message: _Message) -> fr.Beat:
    order = message.upgrade
    upgrade = Upgrade(order.order, order.program) if message.HasField("upgrade") else None
    return fr.Beat(message.renew_within_ms / _MS, upgrade)


def _read_goodbye(message: _Message) -> fr.Goodbye:
    return fr.Goodbye(message.code, message.text, message.retry_after_ms / _MS)


_AGENT: dict[str, Callable[[_Message], fr.AgentBody]] = {
    "hello": _read_hello,
    "heartbeat": _read_heartbeat,
    "fetch": _read_fetch,
    "report": _read_report,
    "notices": _read_notices,
    "log_lines": oc.read_lines,
}
_MASTER: dict[str, Callable[[_Message], fr.MasterBody]] = {
    "challenge": lambda message: fr.Challenge(message.nonce),
    "welcome": _read_welcome,
    "beat": _read_beat,
    "offer": _read_offer,
    "chunks": chunk_codec.read,
    "order": oc.read_order,
    "goodbye": _read_goodbye,
}
