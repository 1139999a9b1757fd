"""Makes expressions for text in the encoding of queries:
`a` is `a` or `%61`, a space `+` or `%20`.

nginx has query parameters only as sent. A text or an expression for the decoded value becomes one
for the encoded value. As in the core, a broken escape stands for itself.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

_PERCENT: Final = ord("%")
_PLUS: Final = ord("+")
_AND: Final = ord("&")
_SPACE: Final = ord(" ")
_ALL: Final = frozenset(range(256))
_DIGIT: Final = frozenset(b"0123456789")
_BLANK: Final = frozenset(b" \t\n\r\f\v")
_WORD: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") | _DIGIT

_CLASSES: Final = {
    "d": _DIGIT,
    "D": _ALL - _DIGIT,
    "s": _BLANK,
    "S": _ALL - _BLANK,
    "w": _WORD,
    "W": _ALL - _WORD,
}
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_GROUP: Final = re.compile(r"\((?:\?:|\?P?<[A-Za-z_][A-Za-z0-9_]*>)?(?!\?)")
_REPEAT: Final = re.compile(r"(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\??")
_HEX: Final = re.compile(r"x([0-9A-Fa-f]{2})")


class _UnfitError(Exception):
    """The expression has no equivalent for encoded text."""


def encoded_text(text: str) -> str:
    """Returns an expression for every encoding of a text."""
    return "".join(_byte_set({byte}) for byte in text.encode())


def encoded_regex(expression: str) -> str | None:
    """Returns an expression for every encoding
    of what the expression matches; None if there is none.

    Anchors, word boundaries, flags and characters beyond ASCII have no equivalent.
    """
    reader = _Reader(expression)
    try:
        found = reader.choices()
    except (_UnfitError, IndexError):
        return None
    return found if reader.is_over else None


class _Reader:
    """Reads an expression from left to right and rewrites it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def is_over(self) -> bool:
        """True if all of it was read."""
        return self._at == len(self._text)

    def _next(self) -> str:
        char = self._text[self._at]
        self._at += 1
        if not char.isascii():
            raise _UnfitError
        return char

    def _sees(self, char: str) -> bool:
        return self._text.startswith(char, self._at)

    def choices(self) -> str:
        """Rewrites sequences with `|` between them, up to `)` or the end."""
        found = [self._sequence()]
        while self._sees("|"):
            self._at += 1
            found.append(self._sequence())
        return "|".join(found)

    def _sequence(self) -> str:
        found = []
        while not self.is_over and not self._sees("|") and not self._sees(")"):
            one = self._one()
            repeat = _REPEAT.match(self._text, self._at)
            if repeat:
                self._at = repeat.end()
            found.append(one + (repeat[0] if repeat else ""))
        return "".join(found)

    def _one(self) -> str:
        if self._sees("("):
            group = _GROUP.match(self._text, self._at)
            if group is None:
                raise _UnfitError
            self._at = group.end()
            inner = self.choices()
            if self._next() != ")":
                raise _UnfitError
            return f"(?:{inner})"
        char = self._next()
        if char == "[":
            return _byte_set(self._members())
        if char == "\\":
            return _byte_set(self._escape())
        if char == ".":
            return _byte_set(_ALL - {ord("\n")})
        if char in "^$*+?{":
            raise _UnfitError
        return _byte_set({ord(char)})

    def _escape(self) -> frozenset[int]:
        digits = _HEX.match(self._text, self._at)
        if digits:
            self._at = digits.end()
            return frozenset({int(digits[1], 16)})
        char = self._next()
        if char in _CLASSES:
            return _CLASSES[char]
        if char.isalnum() and char not in _CONTROLS:
            raise _UnfitError
        return frozenset({ord(_CONTROLS.get(char, char))})

    def _members(self) -> frozenset[int]:
        """Returns the bytes of a class, whose `[` was read."""
        negated = self._sees("^")
        self._at += negated
        found: set[int] = set()
        is_first = True
        while is_first or not self._sees("]"):
            is_first = False
            low = self._member()
            is_range = self._sees("-") and not self._text.startswith("-]", self._at)
            if not is_range or len(low) > 1:
                found |= low
                continue
            self._at += 1
            high = self._member()
            if len(high) > 1:
                raise _UnfitError
            found.update(range(min(low), min(high) + 1))
        self._at += 1
        return _ALL - found if negated else frozenset(found)

    def _member(self) -> frozenset[int]:
        char = self._next()
        if char == "\\":
            return self._escape()
        if char == "[":
            raise _UnfitError  # a class of POSIX
        return frozenset({ord(char)})


def _byte_set(members: Iterable[int]) -> str:
    """Returns an expression for one byte of these, however it was encoded."""
    wanted = frozenset(members)
    if not wanted:
        return "(?!)"
    raw = sorted(wanted - {_PERCENT, _PLUS, _AND})
    if _SPACE in wanted:
        raw.append(_PLUS)
    shapes = [_raw_class(raw)] if raw else []
    escapes = _escapes(wanted)
    shapes.append("%" + (escapes[0] if len(escapes) == 1 else f"(?:{'|'.join(escapes)})"))
    if _PERCENT in wanted:
        shapes.append("%(?![0-9A-Fa-f]{2})")
    return "(?:" + "|".join(shapes) + ")"


def _raw_class(members: Sequence[int]) -> str:
    if len(members) == 1:
        return _in_class(members[0])
    if len(members) > len(_ALL) // 2:
        return "[^" + "".join(rf"\x{byte:02x}" for byte in sorted(_ALL - set(members))) + "]"
    return "[" + "".join(_in_class(byte) for byte in members) + "]"


def _in_class(byte: int) -> str:
    char = chr(byte)
    return char if char.isascii() and char.isalnum() else rf"\x{byte:02x}"


def _escapes(members: frozenset[int]) -> list[str]:
    """Returns the digits of the escapes, grouped by the first digit."""
    found = []
    for high in range(16):
        lows = [low for low in range(16) if high * 16 + low in members]
        if lows:
            found.append(_digit([high]) + _digit(lows))
    return found


def _digit(values: Sequence[int]) -> str:
    both = "".join(dict.fromkeys(f"{value:{form}}" for form in "Xx" for value in values))
    return both if len(both) == 1 else f"[{both}]"
