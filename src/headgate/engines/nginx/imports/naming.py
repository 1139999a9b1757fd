"""Reads names of hosts, and makes names for objects."""

import re
from collections.abc import Sequence
from typing import AnyStr, Final

from headgate.engines.nginx.imports.objects import NotExpressibleError
from headgate.features import syntax
from headgate.kernel.errors import Invalid

NO_NAMES: Final = frozenset({"", "_", "__", "--", "!@#"})
"""Server names that stand for no name."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 150


def host_patterns(server_name: str) -> tuple[str, ...]:
    """Returns our host patterns for one of nginx's server names;
    empty for those that stand for no name.

    Raises `NotExpressibleError` for regular expressions and names with `*` at the end.

    >>> host_patterns(".a.example")
    ('a.example', '*.a.example')
    """
    if server_name in NO_NAMES:
        return ()
    if server_name.startswith("~"):
        raise NotExpressibleError("a server name is a regular expression")
    if "$" in server_name:
        raise NotExpressibleError("a server name holds a variable")
    names: tuple[str, ...] = (server_name,)
    if server_name.startswith("."):
        names = (server_name[1:], f"*{server_name}")
    try:
        return tuple(syntax.host_pattern(name) for name in names)
    except Invalid as error:
        raise NotExpressibleError(f"server name: {error.what}") from None


def take_patterns(patterns: Sequence[AnyStr], taken: set[AnyStr]) -> bool:
    """Returns whether nginx uses a server name that has these patterns, and adds those that it has
    from then on: it ignores a name that it had before on the address, and `.a.example` as a whole,
    but `a.example` is taken either way.
    """
    if taken.isdisjoint(patterns):
        taken.update(patterns)
        return True
    taken.add(patterns[0])
    return False


class Names:
    """Gives each object of a section a name of its own, the same for the same config."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def take(self, wanted: str, suffixes: Sequence[str] = ("",)) -> str:
        """Returns the name, made of letters, digits, `.`, `_` and `-`; adds a number unless it is
        free with each of these suffixes, which it then has as well.
        """
        stem = (_NOT_IN_NAMES.sub("-", wanted).strip("-") or "x")[:_LONGEST]
        name, number = stem, self._taken.get(stem, 1)
        while any(f"{name}{suffix}" in self._taken for suffix in suffixes):
            number += 1
            name = f"{stem}-{number}"
        self._taken[stem] = number
        for suffix in suffixes:
            self._taken.setdefault(f"{name}{suffix}", 1)
        return name
