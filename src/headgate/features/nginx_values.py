"""Reads values of cookies and headers in nginx as the core does: one for all their spellings.

`$cookie_…` does not suffice: it compares names without case, ends cookies at commas too while it
looks for one, keeps quotes, and cannot have every name. `$http_cookie` has all lines, joined by
`; `. Around the value of a header nginx removes spaces but no tabs, and nothing over HTTP/2. Each
expression takes time linear in the header.
"""

from typing import Final

from headgate.features.nginx import Shared, quoted
from headgate.nginxtext.writer import Literal, Regex, Var

COOKIES: Final = Var("http_cookie")
"""All lines of cookies."""

_COOKIE: Final = Var("hg_cookie")
_PART: Final = Var("hg_part")
_EMPTY: Final = Literal("")
_TRIMMED: Final = Regex(r"~\A[ \t]*+(?<hg_part>(?:[^ \t]++|[ \t]++(?!\z))*+)")


def cookie_start(name: str) -> str:
    """Returns an expression for all up to the `=` of the first cookie of that name."""
    own = rf"[ \t]*+{quoted(name)}[ \t]*+="
    return rf"\A(?:(?!{own})[^;]*+;)*+{own}"


def cookie(name: str, shared: Shared) -> Var:
    """Returns the variable of a cookie's value, which is empty where there is none."""
    start = cookie_start(name)
    inside = r'[ \t]*+"(?<hg_cookie>[^;]*)"[ \t]*+(?=;|\z)'
    plain = r"[ \t]*+(?<hg_cookie>(?:[^; \t]++|[ \t]++(?=[^;]))*+)"
    entries = tuple((Regex(f"~{start}{end}"), _COOKIE) for end in (inside, plain))
    return shared.map(f"cookie_{name}", COOKIES, entries, _EMPTY)


def header(name: str, shared: Shared) -> Var | None:
    """Returns the variable of a header's value without the blanks around it; None for a name that
    nginx never passes on.
    """
    sent = shared.request_header(name)
    if sent is None:
        return None
    return shared.map(f"header_{name}", sent, ((_TRIMMED, _PART),), _EMPTY)
