"""Converts nginx's paths and expressions to ones over our normal paths
that take at least as much.

nginx compares decoded paths, we compare paths in normal form, where everything but unreserved
characters stays percent-encoded. A result takes every path in normal form whose decoded form
nginx's path or expression takes; it may take more.
"""

import re
from typing import Final

EVERYTHING: Final = ".*"

UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/"
)
VISIBLE: Final = range(0x21, 0x7F)
_META: Final = frozenset(b".+*?()|[]{}^$\\#&-~")
_ESCAPED: Final = "%[0-9A-F][0-9A-F]"
_ANY: Final = f"(?:[^%]|{_ESCAPED})"
_START: Final = "^"
_END: Final = "(?:%0A)?$"
_LONGEST: Final = 1000
_CLASS = re.compile(rb"\[\^?\]?(?:\\.|[^]\\])*\]", re.DOTALL)
_SIMPLE_CLASS = re.compile(rb"\[\^?(?:[A-Za-z0-9_./:;,=!@%+*?()|$-]|\\[dw./$+*?()|-])+\]")
_QUANTIFIER = re.compile(rb"(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})[?+]?")
_GROUP = re.compile(rb"\((?:\?(?::|>|P?<[A-Za-z_]\w*>|'[A-Za-z_]\w*'|([is]+):))?")
_FLAGS = re.compile(rb"\(\?([is]+)\)")
_LOOK = re.compile(rb"\(\?<?[=!]")
_SHORTHANDS: Final = {
    b"d": "[0-9]",
    b"w": "[0-9A-Za-z_]",
    b"s": "(?:%(?:09|0A|0B|0C|0D|20))",
    **dict.fromkeys((b"D", b"W", b"S", b"N"), _ANY),
    **dict.fromkeys((b"b", b"B"), "(?:)"),
}
CONTROLS: Final = {b"n": 10, b"r": 13, b"t": 9, b"f": 12, b"e": 27, b"a": 7}
ANCHORS: Final = {b"A": _START, b"z": _END, b"Z": _END}


class UnknownError(ValueError):
    """An unsupported construct."""


def literal(path: bytes) -> str:
    """Returns an expression for exactly these bytes of a decoded path.

    >>> literal(b"/a b.c")
    '/a%20b\\\\.c'
    """
    return "".join(_byte(one) for one in path)


def beginning_with(path: bytes) -> str:
    """Returns an expression for every decoded path that begins with these bytes."""
    return literal(path) + EVERYTHING


def encoded_slashes(path: bytes, *, exact: bool) -> list[str]:
    """Returns expressions for the paths that lead to this one only once `%2F` is decoded
    and slashes in a row are one.

    >>> encoded_slashes(b"/a/", exact=False)
    ['/%2F(?:/|%2F)*a(?:/|%2F)+.*', '/(?:/|%2F)*a/?%2F(?:/|%2F)*.*']
    """
    parts = [literal(part) for part in path.split(b"/")[1:]]
    found = []
    for encoded in range(len(parts)):
        text = "/%2F(?:/|%2F)*" if encoded == 0 else "/(?:/|%2F)*"
        text += parts[0]
        for at, part in enumerate(parts[1:], start=1):
            text += ("/?%2F(?:/|%2F)*" if at == encoded else "(?:/|%2F)+") + part
        found.append(text if exact else f"{text}{EVERYTHING}")
    return found


def expression(pattern: bytes, *, any_case: bool) -> str:
    """Returns an expression for every path that a location by regular expression takes;
    `.*` where it uses what only PCRE has.

    >>> expression(rb"^/api/v[0-9]+$", any_case=False)
    '/api/v(?:[0-9]|%[0-9A-F][0-9A-F])+(?:%0A)?'
    >>> expression(rb"\\.php$", any_case=True)
    '(?i).*(?:\\\\.php(?:%0A)?)'
    """
    try:
        found = whole(*Reader(pattern).read())
    except UnknownError:
        return EVERYTHING
    found = f"(?i){found}" if any_case else found
    return found if len(found) <= _LONGEST else EVERYTHING


def whole(atoms: list[str], is_plain: bool, before: str = EVERYTHING) -> str:
    """Returns an expression for a whole path that contains the atoms,
    after a possible beginning.
    """
    begins = is_plain and atoms[:1] == [_START]
    ends = is_plain and atoms[-1:] == [_END]
    body = "".join(atoms[int(begins) :])
    body = body.removesuffix("$") if ends else body
    if begins:
        return body if ends else f"{body}{EVERYTHING}"
    return f"{before}(?:{body}){'' if ends else EVERYTHING}"


def _byte(one: int) -> str:
    if one in UNRESERVED:
        return f"\\{chr(one)}" if one in b"." else chr(one)
    encoded = f"%{one:02X}"
    if one == ord("%") or one not in VISIBLE:
        return encoded
    return f"(?:{chr(one)}|{encoded})" if one not in _META else f"(?:\\{chr(one)}|{encoded})"


class Reader:
    """Reads one expression."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._at = 0
        self._open = 0
        self._plain = True

    def read(self) -> tuple[list[str], bool]:
        """Returns its atoms, and whether no `|` stands outside of groups."""
        out: list[str] = []
        while self._at < len(self._text):
            out.append(self._atom())
        if self._open:
            raise UnknownError
        return out, self._plain

    def _atom(self) -> str:
        one = self._text[self._at : self._at + 1]
        if one == b"(":
            return self._group()
        if one == b"[":
            return self._quantified(self._class())
        if one == b"\\":
            return self._escape()
        self._at += 1
        if one in b"*+?":
            raise UnknownError
        if one in b"|)":
            return self._divided(one)
        if one in b"^$":
            return _START if one == b"^" else _END
        return self._quantified(self._dot() if one == b"." else _byte(one[0]))

    def _dot(self) -> str:
        return _ANY

    def _divided(self, one: bytes) -> str:
        if one == b"|":
            self._plain = self._plain and self._open > 0
            return "|"
        self._open -= 1
        if self._open < 0:
            raise UnknownError
        return self._quantified(")")

    def _quantified(self, atom: str) -> str:
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:
            return atom
        self._at = found.end()
        word = self._quantifier(found[0].decode())
        if _QUANTIFIER.match(self._text, self._at):
            raise UnknownError
        is_one = len(atom) == 1 or atom == ")" or (len(atom) == 2 and atom[0] == "\\")  # noqa: PLR2004
        return f"{atom}{word}" if is_one or atom.startswith(("(", "[")) else f"(?:{atom}){word}"

    def _quantifier(self, word: str) -> str:
        return word[:-1] if word[-1] in "?+" and len(word) > 1 else word

    def _group(self) -> str:
        if flags := _FLAGS.match(self._text, self._at):
            self._at = flags.end()
            return f"(?{flags[1].decode()})"
        if _LOOK.match(self._text, self._at):
            return self._quantified(self._skipped())
        found = _GROUP.match(self._text, self._at)
        if found is None or self._text[found.end() : found.end() + 1] in (b"?", b"*"):
            raise UnknownError
        self._at = found.end()
        self._open += 1
        return f"(?{found[1].decode()}:" if found[1] else "(?:"

    def _skipped(self) -> str:
        """Skips a lookaround: without it the expression takes more."""
        depth = 0
        while self._at < len(self._text):
            one = self._text[self._at : self._at + 1]
            if one == b"\\":
                self._at += 2
                continue
            if one == b"[":
                self._class()
                continue
            depth += (one == b"(") - (one == b")")
            self._at += 1
            if not depth:
                return "(?:)"
        raise UnknownError

    def _class(self) -> str:
        found = _CLASS.match(self._text, self._at)
        if found is None or b"[" in found[0][1:]:
            raise UnknownError
        self._at = found.end()
        if not _SIMPLE_CLASS.fullmatch(found[0]) or b"--" in found[0]:
            return _ANY
        return f"(?:{found[0].decode()}|{_ESCAPED})"

    def _escape(self) -> str:
        word = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        if word in ANCHORS:
            return ANCHORS[word]
        return self._quantified(_escaped(word))


def _escaped(word: bytes) -> str:
    if word in _SHORTHANDS:
        return _SHORTHANDS[word]
    if word in CONTROLS:
        return _byte(CONTROLS[word])
    if not word or word.isalnum():
        raise UnknownError
    return _byte(word[0])
