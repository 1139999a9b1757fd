"""Implements nginx's lexer: what a word is, where it ends, and what is wrong
with a text without one.

Follows `ngx_conf_read_token` (src/core/ngx_conf_file.c): white space is only space, tab, CR and LF;
`#` begins a comment and quotes a string only where a word begins; a backslash escapes the next
byte; `{` after `$` belongs to the word; `}` ends a block only where a word begins; after a quoted
word only white space, `;`, `{` or `)` may follow. Possessive quantifiers keep every expression from
going back over what it has read: the cost is linear.
"""

import re
from typing import Final, NamedTuple

WORD_LIMIT: Final = 4096
"""nginx's read buffer (NGX_CONF_BUFFER); nginx refuses a word that is larger."""

_SPACE = rb"[ \t\r\n]"
_STRING = rb"(?:\"(?:[^\"\\]|\\[\s\S])*+\"|'(?:[^'\\]|\\[\s\S])*+')"
_BARE = rb"(?![}#\"'])(?:[^ \t\r\n;{\\$]++|\$\{*+|\\[\s\S])++"
_WORD = rb"(?:" + _STRING + rb"(?=[ \t\r\n;{)])|" + _BARE + rb")"
_GAP = rb"(?:" + _SPACE + rb"++(?:\#[^\n]*+)?+)++"
_BEFORE = rb"(?:" + _SPACE + rb"++|\#[^\n]*+)*+"

STATEMENT: Final = re.compile(
    rb"(" + _BEFORE + rb")"
    # An atomic group where `*+` would do: up to 3.11.4 that loses what its inner groups matched.
    rb"(?:(" + _WORD + rb")((?>(?:(?:" + _GAP + rb"|(?<=[\"'])(?=\)))" + _WORD + rb")*))"
    rb"((?:" + _GAP + rb")?+)([;{])|(\})|(\Z))"
)
"""The text before a directive, then: its first word, the further words with the text before each,
the text before its end, and the end. Or a `}`, or the end of the text."""

PIECE: Final = re.compile(
    rb"(?P<space>" + _SPACE + rb"++)|(?P<comment>\#[^\n]*+)|"
    rb"(?P<string>" + _STRING + rb")|(?P<bare>" + _BARE + rb")|(?P<mark>[\s\S])"
)
"""The next piece of any text; `mark` is `;`, `{`, `}` or an error."""

FURTHER_WORD: Final = re.compile(rb"((?:" + _GAP + rb")?+)(" + _STRING + rb"|" + _BARE + rb")")
"""One of the further words of a statement, with what stands before it."""

COMMENT_OR_SPACE: Final = re.compile(rb"\#[^\n]*+|" + _SPACE + rb"++")

_ESCAPE = re.compile(rb"\\([\"'\\trn])")
_UNESCAPED: Final = {b"t": b"\t", b"r": b"\r", b"n": b"\n"}


class Fault(NamedTuple):
    """An error in a text: the offset of the byte at fault, and a message."""

    offset: int
    message: str


def value_of(raw: bytes) -> bytes:
    r"""Returns the value that nginx reads from a word in the text.

    >>> value_of(b'"a\\"b\\n"')
    b'a"b\n'
    >>> value_of(b"a\\.b")
    b'a\\.b'
    """
    if raw[:1] in (b'"', b"'"):
        raw = raw[1:-1]
    if b"\\" not in raw:
        return raw
    return _ESCAPE.sub(lambda found: _UNESCAPED.get(found[1], found[1]), raw)


def fault_in(data: bytes, start: int) -> Fault:
    """Returns why no statement begins at `start`;
    only for a text that `STATEMENT` does not match there.
    """
    words = 0
    after_string = False
    for piece in PIECE.finditer(data, start):
        kind, at = piece.lastgroup, piece.start()
        if after_string and kind != "space" and data[at] not in b";{)":
            return Fault(at, f"unexpected {_shown(data, at)} after a quoted word")
        if kind == "mark":
            return _fault_at_mark(data, at, words)
        if kind in ("string", "bare"):
            words += 1
        after_string = kind == "string"
    return Fault(len(data), 'unexpected end of file, expecting ";" or "{"')


def _fault_at_mark(data: bytes, at: int, words: int) -> Fault:
    mark = data[at : at + 1]
    if mark in (b'"', b"'"):
        return Fault(at, f"the string that begins here has no closing {mark.decode()}")
    if mark == b"\\":
        return Fault(at, "the text ends after a backslash")
    if mark == b"}" and words:
        return Fault(at, 'unexpected "}", expecting ";" or "{"')
    return Fault(at, f"unexpected {_shown(data, at)}")


def _shown(data: bytes, at: int) -> str:
    """Returns one byte for a message."""
    char = chr(data[at])
    return f'"{char}"' if char.isascii() and char.isprintable() else f"byte 0x{data[at]:02X}"


def too_long(data: bytes, start: int, end: int) -> Fault | None:
    """Returns the first word or comment between two offsets
    that nginx's read buffer cannot hold.

    nginx keeps what begins at a word (behind its quote) or at a `#` in one buffer until it has
    read beyond it; white space after a word is read together with it.
    """
    for piece in PIECE.finditer(data, start, end):
        size, next_byte = len(piece[0]), data[piece.end() : piece.end() + 1]
        if piece.lastgroup == "comment":
            needed = size + 1 if next_byte else size
        elif piece.lastgroup in ("bare", "string"):
            needed = size - (piece.lastgroup == "string") + 1
            needed += next_byte in (b" ", b"\t", b"\r", b"\n")
        else:
            continue
        if needed > WORD_LIMIT:
            what = "comment" if piece.lastgroup == "comment" else "parameter"
            return Fault(piece.start(), f"too long {what}: nginx reads at most {WORD_LIMIT} bytes")
    return None
