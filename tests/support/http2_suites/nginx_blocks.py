"""What the file h2_headers.t of nginx-tests tries of HPACK."""

from collections.abc import Callable

from frame_client import CONTINUATION
from header_blocks import INDEXING, NEVER, WITHOUT, indexed, literal, size_update
from http2_wire import END_HEADERS, END_STREAM, HEADERS, frame

from http2_suites.case import (
    Case,
    Code,
    blocks,
    forwarded,
)

_AUTHORITY, _METHOD, _PATH, _SCHEME, _COOKIE, _REFERER = 1, 2, 4, 6, 32, 51
"""Entries of the static table."""
_FIRST = 62
"""The first entry of the dynamic table."""
_START = indexed(_METHOD) + indexed(_SCHEME) + indexed(_PATH)
_USUAL = _START + literal(_AUTHORITY, b"a.example")
_PLAIN = (forwarded("GET /"),)

Write = Callable[[bytes, bytes], bytes]


def _form(name: str, does: str, write: Write, referer: Write | None = None) -> Case:
    """A request whose fields all have one form."""
    fields = (b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/")
    whole = b"".join(write(*field) for field in (*fields, (b":authority", b"a.example")))
    reaches = _PLAIN
    if referer is not None:
        whole += referer(b"referer", b"foo")
        reaches = (forwarded("GET /", fields=("referer: foo",)),)
    return Case(name, does, (blocks(whole),), 200, reaches=reaches)


def _by_index(form: tuple[int, int], *, huffman: bool = False) -> Write:
    entries = {b":method": _METHOD, b":scheme": _SCHEME, b":path": _PATH, b":authority": _AUTHORITY}
    return lambda n, v: literal(entries.get(n, _REFERER), v, form, huffman=huffman)


def _by_name(form: tuple[int, int], *, huffman: bool = False) -> Write:
    return lambda n, v: literal(n, v, form, huffman=huffman)


def _forms() -> tuple[Case, ...]:
    out = []
    for label, form, does in (
        ("indexing", INDEXING, "literals that are to be indexed"),
        ("without", WITHOUT, "literals without an index"),
        ("never", NEVER, "literals that are never indexed"),
    ):
        for huffman, suffix, coded in ((False, "", ""), (True, "-huffman", ", in Huffman code")):
            index, name = _by_index(form, huffman=huffman), _by_name(form, huffman=huffman)
            out.append(_form(f"{label}{suffix}", f"{does}, names by index{coded}", index))
            out.append(_form(f"{label}-new{suffix}", f"{does}, with their names{coded}", name))
    for label, form in (("without", WITHOUT), ("never", NEVER)):
        write = _by_index(form)
        does = "the same with `referer`, whose index takes two octets"
        out.append(_form(f"{label}-long-index", does, write, write))
    return tuple(out)


_ALL = bytes([*(97,) * 862, *range(0x20, 0x7F), *range(0x80, 0x100)]).strip()


_FOO = literal(b"x-foo", b"X-Bar", INDEXING)
_REFERER_KEPT = literal(_REFERER, b"foo", INDEXING)
_BIG = literal(b"x" * 2016, b"y" * 2048, INDEXING)
_SEEN = forwarded("GET /", fields=("x-foo: X-Bar",))
_KEPT = forwarded("GET /", fields=("referer: foo", "x-foo: X-Bar"))
_LARGE = forwarded("GET /", fields=(f"{'x' * 2016}: {'y' * 2048}",))
_AGAIN = _USUAL + indexed(_FIRST)


def _served(name: str, does: str, reaches: tuple[bytes, ...], *wholes: bytes) -> Case:
    """Requests on one connection, each with its block."""
    sent = tuple(blocks(whole, 2 * at + 1) for at, whole in enumerate(wholes))
    return Case(name, does, sent, 200, reaches=reaches)


_TABLE = (
    _served("indexed", "every field by its index", _PLAIN, _USUAL),
    _served(
        "reused",
        "a field that the request before has put into the dynamic table",
        (_SEEN, _SEEN),
        _USUAL + _FOO,
        _AGAIN,
    ),
    _served(
        "reused-name",
        "the same with its name alone, and another value",
        (_SEEN, forwarded("GET /", fields=("x-foo: X-Baz",))),
        _USUAL + _FOO,
        _USUAL + literal(_FIRST, b"X-Baz"),
    ),
    _served(
        "table-shrinks",
        "the table shrinks, and a field that has stayed in it is used",
        (_KEPT, _SEEN),
        _USUAL + _REFERER_KEPT + _FOO,
        size_update(61) + _AGAIN,
    ),
    Case(
        "table-shrinks-too-far",
        "the table shrinks, and a field that has left it is used",
        (
            blocks(_USUAL + _REFERER_KEPT + _FOO),
            blocks(size_update(61) + _USUAL + indexed(_FIRST + 1), 3),
        ),
        goaway=Code.COMPRESSION_ERROR,
        reaches=(_KEPT,),
    ),
    _served(
        "table-is-full",
        "a field that fills the table to its last octet is used again",
        (_LARGE, _LARGE),
        _USUAL + _BIG,
        _AGAIN,
    ),
    _served(
        "all-octets",
        "a value of every octet that a field may have, in Huffman code",
        (forwarded("GET /", fields=("x-foo: " + _ALL.decode("latin-1"),)),),
        _USUAL + literal(b"x-foo", _ALL, INDEXING, huffman=True),
    ),
    _served(
        "rare-octets",
        "a value that Huffman code makes longer",
        (forwarded("GET /", fields=("x-foo: {{{{{",)),),
        _USUAL + literal(b"x-foo", b"{{{{{", INDEXING),
    ),
)


def _broken(name: str, does: str, whole: bytes, differs: str = "") -> Case:
    """A block that cannot be read."""
    return Case(name, does, (blocks(whole),), goaway=Code.COMPRESSION_ERROR, differs=differs)


_OTHER_CODE = (
    "the suite wants FRAME_SIZE_ERROR; a block that ends within a field is a decoding error, for"
    " which RFC 9113, 4.3 names COMPRESSION_ERROR"
)


def _errors() -> tuple[Case, ...]:
    return (
        _broken("index", "an index that the tables do not have", _START + indexed(_FIRST)),
        _broken("name-index", "the same as the name of a literal", _START + literal(_FIRST, b"x")),
        _broken("index-0", "the index 0", _USUAL + b"\x80"),
        _broken("size-update", "a table larger than allowed", size_update(4097) + _USUAL),
        _broken("cut-index", "a block that ends within an index", b"\xff", _OTHER_CODE),
        _broken("cut-length", "a block that ends within a length", b"\x42\xff", _OTHER_CODE),
        _broken("long-index", "an index of more octets than any has", b"\xff" * 5),
        _broken("long-length", "a length of more octets than any has", b"\x42" + b"\xff" * 5),
    )


def _cut(name: str, does: str, at: int) -> Case:
    """A block whose second part comes in CONTINUATION."""
    whole = _USUAL + literal(_REFERER, b"1234" * 32)
    sent = frame(HEADERS, END_STREAM, 1, whole[:at])
    sent += frame(CONTINUATION, END_HEADERS, 1, whole[at:])
    reaches = (forwarded("GET /", fields=("referer: " + "1234" * 32,)),)
    return Case(name, does, (sent,), 200, reaches=reaches)


CASES = (
    *_forms(),
    *_TABLE,
    *_errors(),
    _cut("cut-in-index", "a block that goes on in CONTINUATION within an index", len(_USUAL) + 1),
    _cut("cut-in-length", "the same within a length", len(_USUAL) + 3),
)
