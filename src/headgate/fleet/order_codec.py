"""Orders and drift as bytes, parts of proto/headgate/v1/fleet.proto; `codec` makes the frames."""

from typing import Any, Final, TypeAlias

from google.protobuf.message import DecodeError

from headgate.fleet.drift import MOST_FILES, Drift, DriftedFile, HealEnd
from headgate.fleet.generated import fleet_pb2 as pb
from headgate.fleet.orders import DriftPolicy, Heal, Order, OrderBody, Upgrade
from headgate.fleet.searches import MOST_LINES, MOST_TEXT_BYTES, LogLine, LogLines, LogSearch
from headgate.kernel.errors import Invalid

_MS: Final = 1000
_WORD, _PATH, _TEXT, _DIFF, _STATES = 32, 1_000, 2_000, 32 << 10, 8
_LATEST_MS: Final = 253_402_300_799_999  # the end of the year 9999
_Message: TypeAlias = Any  # protobuf's own types say no more


def encode_order(body: OrderBody) -> bytes:
    """Returns the bytes of what is ordered."""
    message = pb.OrderBody()
    if isinstance(body, LogSearch):
        message.log_search.CopyFrom(
            pb.LogSearch(
                number=body.number,
                since_ms=body.since_ms,
                status=body.status,
                host=body.host,
                path=body.path,
                text=body.text,
                limit=body.limit,
                source=body.source,
            )
        )
    elif isinstance(body, Heal):
        message.heal.CopyFrom(pb.Heal(order=body.order))
    elif isinstance(body, Upgrade):
        message.upgrade.CopyFrom(pb.Upgrade(order=body.order, program=body.program))
    else:
        after_ms = round(body.heal_after_s * _MS)
        message.drift_policy.CopyFrom(pb.DriftPolicy(policy=body.policy, heal_after_ms=after_ms))
    return bytes(message.SerializeToString())


def decode_order(data: bytes) -> OrderBody:
    """Returns what is ordered. Raises Invalid for what this version does not know."""
    message: _Message = pb.OrderBody()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise Invalid(f"this is no order ({error})", "send an OrderBody of fleet.proto") from None
    match message.WhichOneof("body"):
        case "heal":
            return Heal(message.heal.order)
        case "upgrade":
            return Upgrade(message.upgrade.order, message.upgrade.program)
        case "log_search":
            return _read_search(message.log_search)
        case "drift_policy":
            found = message.drift_policy
            return DriftPolicy(found.policy, found.heal_after_ms / _MS)
    raise Invalid("the order is none that this agent knows", "send what its Hello names")


def _read_search(message: _Message) -> LogSearch:
    return LogSearch(
        number=message.number,
        since_ms=message.since_ms,
        status=message.status[:_WORD],
        host=message.host[:_PATH],
        path=message.path[:_PATH],
        text=message.text[:_PATH],
        limit=min(max(message.limit, 1), MOST_LINES),
        source=message.source[:_WORD],
    )


def lines_message(body: LogLines) -> _Message:
    """Returns a part of an answer as a message."""
    return pb.LogLines(
        number=body.number,
        lines=[pb.LogLine(at_ms=one.at_ms, text=one.text) for one in body.lines],
        last=body.is_last,
        cut=body.cut,
        error=body.error,
        read_bytes=body.read_bytes,
    )


def read_lines(message: _Message) -> LogLines:
    """Returns a part of an answer, as much of it as a master takes."""
    lines = (
        LogLine(min(one.at_ms, _LATEST_MS), one.text[:MOST_TEXT_BYTES])
        for one in message.lines[:MOST_LINES]
    )
    return LogLines(
        number=message.number,
        lines=tuple(lines),
        is_last=message.last,
        cut=message.cut[:_TEXT],
        error=message.error[:_TEXT],
        read_bytes=message.read_bytes,
    )


def order_message(order: Order) -> _Message:
    """Returns an order as a message."""
    return pb.Order(nonce=order.nonce, body=order.body, binding=order.binding)


def read_order(message: _Message) -> Order:
    """Returns the order of a message."""
    return Order(message.nonce, message.body, message.binding)


def drift_message(drift: Drift | None) -> _Message:
    """Returns drift as a message; None: it is as it was said before."""
    if drift is None:
        return None
    heal = drift.heal
    return pb.Drift(
        since_ms=drift.since_ms,
        states=drift.states,
        files=[_file_message(file) for file in drift.files],
        total=drift.total,
        policy=drift.policy,
        held=drift.held,
        alarm=drift.alarm,
        heal=None if heal is None else pb.HealEnd(order=heal.order, error=heal.error),
    )


def _file_message(file: DriftedFile) -> _Message:
    return pb.DriftedFile(
        path=file.path,
        how=file.how,
        since_ms=file.since_ms,
        diff=file.diff,
        next=file.next,
        next_diff=file.next_diff,
    )


def read_drift(message: _Message) -> Drift | None:
    """Returns the drift of a heartbeat, as much of each text as a master keeps; None: not said."""
    if not message.HasField("drift"):
        return None
    said = message.drift
    heal = HealEnd(said.heal.order, said.heal.error[:_TEXT]) if said.HasField("heal") else None
    return Drift(
        since_ms=min(said.since_ms, _LATEST_MS),
        states=tuple(one[:_WORD] for one in said.states[:_STATES]),
        files=tuple(_read_file(file) for file in said.files[:MOST_FILES]),
        total=said.total,
        policy=said.policy[:_WORD],
        held=said.held[:_TEXT],
        alarm=said.alarm[:_TEXT],
        heal=heal,
    )


def _read_file(message: _Message) -> DriftedFile:
    return DriftedFile(
        path=message.path[:_PATH],
        how=message.how[:_WORD],
        since_ms=min(message.since_ms, _LATEST_MS),
        diff=message.diff[:_DIFF],
        next=message.next[:_WORD],
        next_diff=message.next_diff[:_DIFF],
    )
