"""`path` in nginx: exact paths and prefixes become locations, expressions become maps.

nginx matches locations against our normal form of the path (`$hg_path`), to which it first rewrites
the request's path: percent-encodings stay as they are there.
"""

import re
from typing import Final

from headgate.features.nginx import GIVES_UP, Parity, Shared, unnamed, whole
from headgate.nginxtext.writer import Var, Word

PARITY: Final = (
    Parity("routes.NAME.match[].path.exact", "same"),
    Parity("routes.NAME.match[].path.prefix", "same"),
    Parity("routes.NAME.match[].path.regex", "differs", GIVES_UP),
)

_LITERAL = re.compile(r"[^\\^$.|?*+()\[\]{}]*")


def condition(expression: str, shared: Shared) -> Var:
    """Returns a variable that is `1` when the expression matches the whole path."""
    text, _ = unnamed(expression)
    return shared.judged("path", Var("hg_path"), ((whole(text), Word("1")),), Word("0"))


def literal_prefix(expression: str) -> str:
    """Returns text that every matching path begins with; it may be shorter than the longest."""
    if "|" in expression or "(?" in expression:
        return ""
    found = _LITERAL.match(expression)
    text = found[0] if found else ""
    after = expression[len(text) : len(text) + 1]
    # A repetition belongs to the last character.
    return text[:-1] if after in ("?", "*", "+", "{") and after else text
