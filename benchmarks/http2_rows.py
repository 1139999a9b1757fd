"""The table of HTTP/2 besides requests: memory of connections, the codec alone, and a breaker."""

from results import Result, table
from rows import OURS, Row, Spread, added, spread, value_row

_MIB = 1 << 20
_CHECK_NS = 20.0
"""50 million a second."""
_STALLED_MIB = 1 + 100 / 64
"""The memory of a connection's answers (`http2.output.answers`), and 16 KiB for each stream."""
_WORKER_MIB = 64 + 64 * 100 / 256
"""The memory that all answers of a worker may hold, and 4 KiB for all else of each stream."""


def _over_tls(results: list[Result]) -> Spread | None:
    """Memory of an idle connection over HTTP/2 less that of one over HTTP/1.1, both over TLS."""
    more, less = (table(results, "memory-h2", one) for one in ("h2", "tls"))
    return added(more, less, OURS, "bytes")


def _codec(
    fields: str, limits: tuple[float, float], ratios: tuple[float, float]
) -> tuple[Row, ...]:
    """Of one request: its time, its allocations, the time that nghttp2 takes for the same, and the
    ratio of both: that of the limits to what nghttp2 took where they were set, because machines
    differ."""

    def to_nghttp2(results: list[Result]) -> Spread | None:
        found = table(results, "codec", fields).get(OURS, {}).values()
        return spread(one["ns"] / one["nghttp2_ns"] for one in found)

    title = f"HTTP/2 codec, request of {fields} fields"
    return (
        value_row(("codec", fields, "ns"), title, "ns", 1, *limits),
        value_row(("codec", fields, "allocations"), f"{title}: allocations", "", 1, 0),
        value_row(("codec", fields, "nghttp2_ns"), f"{title}: nghttp2", "ns", 1, None),
        Row(f"{title}: to nghttp2's", "×", to_nghttp2, *ratios),
    )


ROWS: tuple[Row, ...] = (
    Row(
        "idle connection, HTTP/2 over TLS, over HTTP/1.1 over TLS",
        "bytes",
        _over_tls,
        4096,
        2048,
        digits=0,
    ),
    value_row(
        ("memory-h2", "h2c", "bytes"), "idle connection, HTTP/2 in clear", "bytes", 1, 4096, 2048
    ),
    value_row(
        ("memory-h2", "stalled", "bytes"),
        "connection with 100 stalled streams",
        "MiB",
        1 / _MIB,
        _STALLED_MIB,
    ),
    value_row(
        ("memory-h2", "stalled-many", "pss"),
        "64 connections with 100 stalled streams each",
        "MiB",
        1 / _MIB,
        _WORKER_MIB,
    ),
    *_codec("5", (250, 180), (0.475, 0.342)),
    *_codec("19", (600, 450), (0.504, 0.378)),
    value_row(("breaker", "core", "check_ns"), "breaker: check, in Rust", "ns", 1, _CHECK_NS),
    value_row(
        ("breaker", "python", "check_ns"),
        "breaker: check of the library's object, from Python",
        "ns",
        1,
        _CHECK_NS,
    ),
    value_row(
        ("breaker", "python", "call_ns"),
        "a call of a built-in that does nothing, from Python",
        "ns",
        1,
        None,
    ),
    value_row(("breaker", "python", "guard_ns"), "breaker: guard() from Python", "ns", 1, None),
)
"""The limits that must not be exceeded."""
