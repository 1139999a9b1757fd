"""Answers of an endpoint that grpc*.t of nginx-tests send, good ones and broken ones."""

import itertools
from collections.abc import Callable

from frame_client import CONTINUATION, PADDED, WINDOW, WITH_PRIORITY
from header_blocks import INDEXING, NEVER, WITHOUT, indexed, literal
from http2_wire import END_HEADERS, HEADERS, RESET, frame

from http2_suites.case import (
    Code,
    block,
    blocks,
    data,
)

Answer = Callable[[int], bytes]

_OK = b"\x88"
_GRPC = ("content-type", "application/grpc")
_TYPE = block([_GRPC])
_TRAILERS = block([("grpc-status", "0"), ("grpc-message", "")])
_WORLD = b"Hello world"


def _whole(start: bytes, body: bytes = _WORLD) -> Answer:
    """An answer with this head and trailers."""
    return lambda s: blocks(start, s, ends=False) + data(body, s, ends=False) + blocks(_TRAILERS, s)


def _padded(flags: int) -> Answer:
    """The same whose HEADERS have padding, a priority or both."""

    def answer(stream: int) -> bytes:
        before = b"\x07" if flags & PADDED else b""
        before += b"\x01\x02\x03\x04\x88" if flags & WITH_PRIORITY else b""
        payload = before + _OK + _TYPE + bytes(7 if flags & PADDED else 0)
        start = frame(HEADERS, END_HEADERS | flags, stream, payload)
        return start + data(_WORLD, stream, ends=False) + blocks(_TRAILERS, stream)

    return answer


def _pieces(count: int) -> Answer:
    """The same whose head comes in HEADERS and so many CONTINUATION."""

    def answer(stream: int) -> bytes:
        whole = _OK + _TYPE
        cuts = [len(whole) * at // (count + 1) for at in range(count + 2)]
        parts = [whole[a:b] for a, b in itertools.pairwise(cuts)]
        out = frame(HEADERS, 0, stream, parts[0])
        for part in parts[1:-1]:
            out += frame(CONTINUATION, 0, stream, part)
        out += frame(CONTINUATION, END_HEADERS, stream, parts[-1])
        return out + data(_WORLD, stream, ends=False) + blocks(_TRAILERS, stream)

    return answer


def _padded_body(start: bytes) -> Answer:
    payload = b"\x2a" + _WORLD + bytes(42)
    return lambda s: (
        blocks(start, s, ends=False) + frame(0, PADDED, s, payload) + blocks(_TRAILERS, s)
    )


def _length(value: str) -> bytes:
    return _OK + _TYPE + block([("content-length", value)])


def _formed(form: tuple[int, int], *, new: bool = False) -> Answer:
    status = literal(b":status" if new else 8, b"200", form, huffman=True)
    kind = literal(b"content-type" if new else 31, b"application/grpc", form, huffman=True)
    return _whole(status + kind)


def _early(rest: Answer) -> Answer:
    return lambda s: _whole(_OK + _TYPE)(s) + rest(s)


def _resets(code: int, times: int = 1) -> Answer:
    return lambda s: frame(RESET, 0, s, code.to_bytes(4)) * times


def _bad(more: bytes) -> Answer:
    return lambda s: blocks(_OK + more, s)


def _big(size: int) -> Answer:
    return _whole(_OK + _TYPE + literal(b"x" * size, b"y" * size, NEVER))


_ERROR = block([("grpc-status", "12"), ("grpc-message", "unknown service")])
_HINTS = block([(":status", "103"), ("link", "</style.css>; rel=preload")])
_LAST = block([("x-trailer", "foo"), ("x-another", "bar")])

ANSWERS: dict[str, Answer] = {
    "hello": _whole(_OK + _TYPE),
    "without": _formed(WITHOUT),
    "without-new": _formed(WITHOUT, new=True),
    "never": _formed(NEVER),
    "never-new": _formed(NEVER, new=True),
    "indexing": _formed(INDEXING),
    "padding": _padded(PADDED),
    "priority": _padded(WITH_PRIORITY),
    "padding-and-priority": _padded(PADDED | WITH_PRIORITY),
    "error": lambda s: blocks(_OK + _TYPE + _ERROR, s),
    "error-and-reset": lambda s: blocks(_OK + _TYPE + _ERROR, s) + _resets(Code.NO_ERROR)(s),
    "short": _whole(_length("42")),
    "long": _whole(_length("8")),
    "continuation": _pieces(3),
    "many-continuations": _pieces(42),
    "field-128": _big(1 << 7),
    "field-256": _big(1 << 8),
    "field-32768": _big(1 << 15),
    "name-colon": _bad(block([("n:n", "v")])),
    "name-upper-case": _bad(block([("NN", "v")])),
    "name-control": _bad(block([("n\nn", "v")])),
    "name-blank": _bad(block([("n n", "v")])),
    "value-control": _bad(block([("n", "v\nv")])),
    "index": _bad(indexed(99)),
    "index-with-indexing": _bad(literal(99, b"v", INDEXING)),
    "index-without-indexing": _bad(literal(99, b"v", WITHOUT)),
    "padded-body": _padded_body(_OK + _TYPE),
    "padded-body-length": _padded_body(_length("11")),
    "hints": lambda s: blocks(_HINTS, s, ends=False) + _whole(_OK + _TYPE)(s),
    "hints-only": lambda s: blocks(_HINTS, s),
    "trailers": lambda s: (
        blocks(_OK, s, ends=False) + data(b"SEE-THIS", s, ends=False) + blocks(_LAST, s)
    ),
}
EARLY: dict[str, Answer] = {
    "early-window": _early(lambda s: frame(WINDOW, 0, s, (42).to_bytes(4))),
    "early-reset": _early(_resets(Code.NO_ERROR)),
    "early-resets": _early(_resets(Code.NO_ERROR, 3)),
    "early-cancel": _early(_resets(Code.CANCEL)),
}
