"""Reads cookies in nginx as the core does: one value for all its spellings.

`$cookie_…` does not suffice: it compares names without case, ends cookies at commas too while it
looks for one, keeps quotes, and cannot have every name. `$http_cookie` has all lines, joined by
`; `. Each expression takes time linear in the header.
"""

from typing import Final

from headgate.features.nginx import Shared, quoted
from headgate.nginxtext.writer import Literal, Regex, Var

COOKIES: Final = Var("http_cookie")
"""All lines of cookies."""

_COOKIE: Final = Var("hg_cookie")
_EMPTY: Final = Literal("")


def cookie_start(name: str) -> str:
    """Returns an expression for all up to the `=` of the first cookie of that name."""
    own = rf"[ \t]*+{quoted(name)}[ \t]*+="
    return rf"\A(?:(?!{own})[^;]*+;)*+{own}"


def cookie_value(name: str, shared: Shared) -> Var:
    """Returns the variable of a cookie's value, which is empty where there is none."""
    start = cookie_start(name)
    inside = r'[ \t]*+"(?<hg_cookie>[^;]*)"[ \t]*+(?=;|\z)'
    plain = r"[ \t]*+(?<hg_cookie>(?:[^; \t]++|[ \t]++(?=[^;]))*+)"
    entries = tuple((Regex(f"~{start}{end}"), _COOKIE) for end in (inside, plain))
    return shared.map(f"cookie_{name}", COOKIES, entries, _EMPTY)
