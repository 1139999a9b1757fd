"""Reads from the access log how requests ended at endpoints."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from headgate.engines.nginx.observe.hits import Hit
from headgate.engines.nginx.observe.traffic import tries

_LATE_MS: Final = 1_000
"""A line may come so much after its request's end: it is buffered, then the log is read."""

_LEFT: Final = ("", "-", "499")
_NONE: Final = "-"
_NO_ANSWER: Final = {"504": "timeout"}
_ANSWERS: Final = {"429": "limited", **dict.fromkeys(("502", "503", "504"), "gateway")}


class Ended(NamedTuple):
    """The outcome of a request at an address, the earliest time that it began, and the time that it
    took to the head of the answer, or to the end without one.
    """

    target: str
    outcome: str
    began_ms: int
    head_ms: int = 0


def ended(hit: Hit, read_ms: int) -> Iterator[Ended]:
    """Yields the tries of a request whose line was read then."""
    targets = tries(hit.endpoint)
    columns = (hit.upstream_status, hit.first_byte_s, hit.connect_s, hit.upstream_s)
    statuses, heads, connects, ends = (_padded(tries(text), len(targets)) for text in columns)
    began_ms = read_ms - round(max(hit.total_s, 0) * 1000) - _LATE_MS
    for one in zip(targets, statuses, heads, connects, ends, strict=True):
        target, status, head, connect, end = one
        taken = _milliseconds(end if head == _NONE else head)
        yield Ended(target, outcome(status, head, connect), began_ms, taken)


def _milliseconds(seconds: str) -> int:
    try:
        return round(float(seconds) * 1000)
    except ValueError:
        return 0


def outcome(status: str, head: str, connect: str) -> str:
    """Returns the core's word for how a try ended; times are `-` where something never came.

    >>> outcome("200", "0.001", "0.000"), outcome("502", "-", "-"), outcome("503", "0.001", "0.0")
    ('ok', 'connect', 'gateway')
    """
    if head == _NONE:
        if status in _LEFT:
            return "cancelled"
        return _NO_ANSWER.get(status, "connect" if connect == _NONE else "reset")
    if not status.isdigit():
        return "cancelled"
    return _ANSWERS.get(status, "5xx" if status[0] == "5" else "ok")


def _padded(parts: list[str], length: int) -> list[str]:
    return (parts + [_NONE] * length)[:length]
