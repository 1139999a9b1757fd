"""What a case of a suite is: what its client sends, what comes back, what reaches an endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from frame_client import CONTINUATION
from header_blocks import literal
from http2_wire import DATA, END_HEADERS, END_STREAM, HEADERS, frame


class Code(IntEnum):
    """Codes of errors (RFC 9113, 7), those that a case names."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


PLAIN, TLS, HTTP1, HTTP1_TLS = "plain", "tls", "http1", "http1-tls"
"""Listeners: with prior knowledge of HTTP/2, with `h2` by ALPN, and two of HTTP/1.1 alone."""

Pairs = Sequence[tuple[str | bytes, str | bytes]]


@dataclass(frozen=True)
class Case:
    """A client's connection. What it sends for streams 1, 3, 5 … stands in `sent`: each is sent
    once the one before is over. All but the last are answered with 200; the last one as the case
    says. A request after it must be answered, on another connection if this one ended."""

    name: str
    does: str
    """What the client sends, for the page."""
    sent: tuple[bytes, ...]
    status: int | None = None
    """The status of the answer; None = there is no answer."""
    reset: Code | None = None
    """The code with which the stream is reset, after the answer if there is one."""
    goaway: Code | None = None
    """The code with which the connection ends."""
    reaches: tuple[bytes, ...] = ()
    """Every request that an endpoint gets, whole."""
    has: tuple[bytes, bytes] | None = None
    """A field of the answer or of its trailers."""
    body: bytes | None = None
    """The body of the answer; None = any."""
    link: str = PLAIN
    opening: bytes | None = None
    """What is sent in place of the usual SETTINGS."""
    differs: str = ""
    """What the suite wants otherwise, and why it does not get it."""


@dataclass(frozen=True)
class Http1Case:
    """The same for a connection that begins with HTTP/1.1: what is sent, the status of the first
    answer, and every request that an endpoint gets."""

    name: str
    does: str
    sent: bytes
    status: int
    reaches: tuple[bytes, ...] = ()
    link: str = PLAIN
    then: bytes = b""
    """What is sent after the answer; the connection must end, without a further answer of 2xx."""
    differs: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """A case that a test of its own shows already."""

    name: str
    does: str
    outcome: str
    tests: tuple[str, ...]
    """Tests of the engine, attacks of the drill, or other cases."""
    differs: str = ""


AnyCase = Case | Http1Case | Elsewhere


@dataclass(frozen=True)
class Suite:
    """The cases of one file of a suite."""

    title: str
    source: str
    """Where the suite has it."""
    cases: tuple[AnyCase, ...]


def block(fields: Pairs) -> bytes:
    """Each field as a literal without an index."""
    return b"".join(literal(_octets(name), _octets(value)) for name, value in fields)


def _octets(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def head(fields: Pairs, stream: int = 1, *, ends: bool = True) -> bytes:
    """HEADERS, with CONTINUATION where a frame is too small."""
    return blocks(block(fields), stream, ends=ends)


def blocks(whole: bytes, stream: int = 1, *, ends: bool = True) -> bytes:
    """The frames of a block."""
    parts = [whole[at : at + 16_384] for at in range(0, len(whole), 16_384)] or [b""]
    out = b""
    for at, part in enumerate(parts):
        flags = END_HEADERS if at == len(parts) - 1 else 0
        flags |= END_STREAM if ends and at == 0 else 0
        out += frame(CONTINUATION if at else HEADERS, flags, stream, part)
    return out


def data(body: bytes, stream: int = 1, *, ends: bool = True) -> bytes:
    """DATA."""
    return frame(DATA, END_STREAM if ends else 0, stream, body)


def pseudo(
    path: str = "/",
    *,
    method: str = "GET",
    scheme: str = "http",
    authority: str | None = "a.example",
) -> list[tuple[str | bytes, str | bytes]]:
    """The pseudo fields of a request; `authority` None = without one."""
    fields: list[tuple[str | bytes, str | bytes]] = [
        (":method", method),
        (":scheme", scheme),
        (":path", path),
    ]
    return fields if authority is None else [*fields, (":authority", authority)]


def forwarded(
    line: str,
    host: str = "a.example",
    *,
    fields: tuple[str, ...] = (),
    framing: tuple[str, ...] = (),
    body: bytes = b"",
    scheme: str = "http",
) -> bytes:
    """A request as an endpoint over HTTP/1.1 gets it: `fields` are the client's, `framing` those of
    this connection. The field `x-request-id`, which differs each time, is left out."""
    lines = [f"{line} HTTP/1.1", f"host: {host}", *fields, *_added(host, scheme), *framing]
    return _lines(lines) + body


def called(
    path: str,
    *,
    method: str = "POST",
    fields: tuple[str, ...] = (),
    last: tuple[str, ...] = (),
    body: bytes = b"",
) -> bytes:
    """The same as an endpoint over HTTP/2 gets it; `last` comes after what the node adds."""
    start = (f":method: {method}", ":scheme: http", ":authority: a.example", f":path: {path}")
    return _lines([*start, *fields, *_added("a.example", "http"), *last]) + body


def _added(host: str, scheme: str) -> tuple[str, ...]:
    """What the node says of its client."""
    return (
        "x-forwarded-for: 127.0.0.1",
        f"x-forwarded-proto: {scheme}",
        f"x-forwarded-host: {host}",
        "x-real-ip: 127.0.0.1",
    )


def _lines(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


CHUNKED = ("transfer-encoding: chunked",)


def chunk(body: bytes) -> bytes:
    """A body in one chunk."""
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
