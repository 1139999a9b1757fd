"""Translates patterns of glob(3), by which nginx finds the files of an include, for Python."""

import re
from typing import Final

WILDCARDS: Final = frozenset("*?[")
"""The characters that make a pattern of a name."""

_PIECE: Final = re.compile(
    r"\\(?P<escaped>.)|\[(?P<negation>[!^]?+)(?P<inside>\]?+[^]/]*)\]|(?P<alone>\[)", re.DOTALL
)
_CLASS: Final = re.compile(r"\[[!^]?+\]?+[^]/]*\[([:.=])[^]/]*\1\]")


def for_python(pattern: str) -> str:
    r"""Returns a pattern as `fnmatch` and `glob` read it; only for one without `has_unread`.

    >>> for_python(r"conf.d/[^_]\**")
    'conf.d/[!_][*]*'
    """
    return _PIECE.sub(_translated, pattern)


def has_unread(pattern: str) -> bool:
    r"""Reports whether a pattern has what is not translated: classes, and backslashes in brackets.

    >>> has_unread("[[:alpha:]]*"), has_unread(r"[\]]"), has_unread("[^a]")
    (True, True, False)
    """
    return any(
        found["inside"] is not None
        and ("\\" in found["inside"] or _CLASS.match(pattern, found.start()) is not None)
        for found in _PIECE.finditer(pattern)
    )


def _translated(found: re.Match[str]) -> str:
    plain = found["escaped"] or found["alone"]
    if plain is not None:
        return f"[{plain}]" if plain in WILDCARDS else plain
    return f"[{'!' if found['negation'] else ''}{found['inside']}]"
