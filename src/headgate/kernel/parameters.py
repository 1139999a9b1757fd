"""Names of parameters of a query as expressions that find them, however they are spelled. Pure."""

from collections.abc import Callable, Collection
from typing import Final

_LONGEST: Final = 3000
"""Of one expression: nginx reads no word that is longer than 4000 characters."""


def spelled(name: str) -> str:
    """Returns an expression for a name, each character plain or as its escape, to be compared
    without case.

    >>> spelled("a.1")
    '(?:a|%[46]1)(?:[.]|%2e)(?:1|%31)'
    """
    return "".join(_character(one) for one in name.lower())


def expressions(names: Collection[str]) -> tuple[str, ...]:
    """Returns alternatives that together find each name, joined as far as their length allows.

    >>> expressions(["b", "a"])
    ('(?:a|%[46]1)|(?:b|%[46]2)',)
    """
    return _joined(names, spelled)


def plainly(names: Collection[str]) -> tuple[str, ...]:
    """Returns the same of names without escapes.

    >>> plainly(["b", "a.c"])
    ('a[.]c|b',)
    """
    return _joined(names, lambda name: name.replace(".", "[.]"))


def _joined(names: Collection[str], written: Callable[[str], str]) -> tuple[str, ...]:
    found: list[str] = []
    for name in sorted({name.lower() for name in names}):
        one = written(name)
        if found and len(found[-1]) + len(one) < _LONGEST:
            found[-1] += f"|{one}"
        else:
            found.append(one)
    return tuple(found)


def _character(one: str) -> str:
    code = f"{ord(one):02x}"
    if one.isalpha():
        # The capital is 0x20 before: 0x41 and 0x61, 0x5A and 0x7A.
        return f"(?:{one}|%[{int(code[0]) - 2}{code[0]}]{code[1]})"
    plain = one if one.isdecimal() or one in "_-" else f"[{one}]"
    return f"(?:{plain}|%{code})"
