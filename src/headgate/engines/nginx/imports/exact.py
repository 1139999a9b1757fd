"""Converts nginx's expressions to ones over our normal paths
that take the same paths and no other.

Where `patterns` may take more, this gives up. Paths with an encoded slash do not come here:
`refusals.guards` refuses them before.
"""

import re
from functools import lru_cache
from typing import Final

from headgate.engines.nginx.imports import patterns

_ALL: Final = frozenset(range(1, 256))
_NEW_LINE: Final = ord("\n")
_LONGEST: Final = 1000
_BEFORE: Final = "(?:[^%]|%[0-9A-F][0-9A-F])*"
"""The text that may stand before: whole characters, lest `3B` be found in `%3B`."""

_SETS: Final = {
    b"d": frozenset(b"0123456789"),
    b"w": frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"),
    b"s": frozenset(b"\t\n\v\f\r "),
}
_NAMED: Final = {
    **_SETS,
    **{name.upper(): _ALL - members for name, members in _SETS.items()},
}
_GROUP = re.compile(rb"\((?:\?(?::|P?<[A-Za-z_]\w*>))?")
_MEMBER = re.compile(rb"\\([dwsDWS])|(\\[^A-Za-z0-9]|[^\\\[\]])(?:-(\\[^A-Za-z0-9]|[^\\\[\]]))?")
_ANY_CASE: Final = b"(?i)"
_STRICT_END: Final = b"z"


@lru_cache(maxsize=1024)
def expression(pattern: bytes, *, any_case: bool) -> str | None:
    """Returns an expression for the paths that a location by regular expression takes;
    None where ours cannot express exactly that.

    >>> expression(rb"^/api/v[0-9]+$", any_case=False)
    '/api/v[0-9]+(?:%0A)?'
    >>> expression(rb"/(?=x)", any_case=False) is None
    True
    """
    if pattern.startswith(_ANY_CASE):
        pattern, any_case = pattern.removeprefix(_ANY_CASE), True
    try:
        atoms = _Exact(pattern, any_case=any_case).read()
        found = patterns.whole(*atoms, before=_BEFORE)
    except patterns.UnknownError:
        return None
    found = f"(?i){found}" if any_case else found
    return found if len(found) <= _LONGEST else None


class _Exact(patterns.Reader):
    """Reads what has an exact equivalent."""

    def __init__(self, text: bytes, *, any_case: bool) -> None:
        super().__init__(text)
        self._any_case = any_case

    def _dot(self) -> str:
        return _one_of(_ALL - {_NEW_LINE})

    def _quantifier(self, word: str) -> str:
        if word.endswith("+") and len(word) > 1:
            raise patterns.UnknownError
        return super()._quantifier(word)

    def _group(self) -> str:
        found = _GROUP.match(self._text, self._at)
        if found is None or self._text[found.end() : found.end() + 1] in (b"?", b"*"):
            raise patterns.UnknownError
        self._at = found.end()
        self._open += 1
        return "(?:"

    def _class(self) -> str:
        end = self._text.find(b"]", self._at + 2)
        while end > 0 and self._text[end - 1 : end] == b"\\":
            end = self._text.find(b"]", end + 1)
        if end < 0:
            raise patterns.UnknownError
        inside = self._text[self._at + 1 : end]
        self._at = end + 1
        members = _members(inside.removeprefix(b"^"))
        if self._any_case:
            members |= {ord(chr(one).swapcase()) for one in members if chr(one).isascii()}
        return _one_of(_ALL - members if inside.startswith(b"^") else members)

    def _escape(self) -> str:
        word = self._text[self._at + 1 : self._at + 2]
        if word in _NAMED:
            self._at += 2
            return self._quantified(_one_of(_NAMED[word]))
        # `patterns` also takes the line end that `$` takes before the end of a path.
        is_strict = word == _STRICT_END
        known = word in patterns.ANCHORS or word in patterns.CONTROLS
        if word.isalpha() and (is_strict or not known):
            raise patterns.UnknownError
        return super()._escape()


def _members(inside: bytes) -> frozenset[int]:
    """Returns the bytes of a class."""
    found: set[int] = set()
    at = 0
    while at < len(inside):
        one = _MEMBER.match(inside, at)
        if one is None:
            raise patterns.UnknownError
        if one[1]:
            found |= _NAMED[one[1]]
        else:
            first = one[2][-1]
            last = one[3][-1] if one[3] else first
            if last < first:
                raise patterns.UnknownError
            found |= set(range(first, last + 1))
        at = one.end()
    if not found:
        raise patterns.UnknownError
    return frozenset(found)


def _one_of(members: frozenset[int]) -> str:
    """Returns an expression for one byte of a decoded path, as our normal form writes it.

    >>> _one_of(frozenset(b"ab/"))
    '[/ab]'
    >>> _one_of(frozenset(b"a;"))
    '(?:[;a]|%3B)'
    """
    raw = sorted(one for one in members if one in patterns.VISIBLE and one != ord("%"))
    encoded: dict[str, str] = {}
    for one in sorted(members - patterns.UNRESERVED):
        high, low = f"{one >> 4:X}", f"{one & 15:X}"
        encoded[high] = encoded.get(high, "") + low
    nibbles: dict[str, str] = {}
    for high, lows in encoded.items():
        nibbles[lows] = nibbles.get(lows, "") + high
    parts = [f"[{_ranges(raw)}]"] if raw else []
    parts += [f"%{_either(highs)}{_either(lows)}" for lows, highs in nibbles.items()]
    return parts[0] if raw and len(parts) == 1 else f"(?:{'|'.join(parts)})"


def _either(digits: str) -> str:
    return digits if len(digits) == 1 else f"[{_ranges([ord(one) for one in digits])}]"


def _ranges(members: list[int]) -> str:
    """Returns the inside of a class, with ranges where more than two stand in a row."""
    out = []
    at = 0
    while at < len(members):
        end = at
        while end + 1 < len(members) and members[end + 1] == members[end] + 1:
            end += 1
        out.append(_range(members[at : end + 1]))
        at = end + 1
    return "".join(out)


def _range(members: list[int]) -> str:
    first, last = _char(members[0]), _char(members[-1])
    short = 2
    return "".join(map(_char, members)) if len(members) <= short else f"{first}-{last}"


def _char(one: int) -> str:
    char = chr(one)
    return f"\\{char}" if char in "\\]^-[&~" else char
