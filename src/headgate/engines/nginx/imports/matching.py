"""Converts `location` to what a route matches by, and back.

nginx's prefixes count characters, ours whole segments; nginx answers `/a` with a redirect where
`location /a/` (also `= /a/`) proxies. Where the other locations of the server leave room for the
difference to show, the location is not expressible.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import exact
from headgate.engines.nginx.imports.around import Siblings
from headgate.engines.nginx.imports.objects import NotExpressibleError, Table, Toml
from headgate.engines.nginx.imports.values import text
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Arg, Op, Plain

_SAFE: Final = re.compile(
    rb"/(?:[A-Za-z0-9_~-][A-Za-z0-9_.~-]*(?:/|\Z)|\.[A-Za-z0-9_~-][A-Za-z0-9_.~-]*(?:/|\Z))*"
)
_SPECIAL = re.compile(r"[.~]")
_MODIFIERS: Final = (b"=", b"^~", b"~*", b"~", b"@")
_WITH_MODIFIER = 2


class Wanted(NamedTuple):
    """A location's modifier and path; `expression` is ours for its own."""

    modifier: str
    path: str
    expression: str = ""

    @property
    def is_exact(self) -> bool:
        """True if it takes this path alone."""
        return self.modifier == "="


class Matched(NamedTuple):
    """A route's matches, and the path without the last slash if it redirects."""

    match: tuple[Table, ...]
    redirected: str | None = None


def wanted(location: Directive) -> Wanted:
    """Returns what a location takes; raises `NotExpressibleError` for named locations
    and expressions without an equivalent.
    """
    modifier, path = split(location)
    if modifier in (b"~", b"~*"):
        found = exact.expression(path, any_case=modifier == b"~*")
        if found is None:
            raise NotExpressibleError("its regular expression has no counterpart")
        return Wanted(modifier.decode(), text(path), found)
    if modifier == b"@":
        raise NotExpressibleError("a named location is kept")
    if not is_safe(path):
        raise NotExpressibleError("its path has characters that nginx and we compare differently")
    return Wanted(modifier.decode(), path.decode())


def is_safe(path: bytes) -> bool:
    """Reports whether nginx and headgate compare that path alike."""
    return _SAFE.fullmatch(path) is not None


def split(location: Directive) -> tuple[bytes, bytes]:
    """Returns modifier and path of a location; nginx reads `=/a` and `= /a` alike."""
    values = location.values
    if len(values) == _WITH_MODIFIER:
        return values[0], values[1]
    word = values[0] if values else b""
    modifier = next((one for one in _MODIFIERS if word.startswith(one)), b"")
    return modifier, word[len(modifier) :]


def match_of(location: Wanted, siblings: Siblings, *, proxied: bool, ranked: bool) -> Matched:
    """Returns the matches for what the location takes;
    `ranked` where the route's priority keeps it behind longer prefixes.
    """
    path = location.path
    if location.expression:
        return Matched(({"path": {"regex": location.expression}},))
    if location.is_exact:
        stem = path[:-1]
        taken = siblings.has_exact(stem.encode()) or siblings.has_prefix(stem.encode())
        redirects = proxied and path.endswith("/") and stem and not taken
        return Matched(({"path": {"exact": path}},), stem if redirects else None)
    if path == "/":
        return Matched(())
    if path.endswith("/"):
        return _directory(path, siblings, proxied=proxied, ranked=ranked)
    if not ranked and siblings.has_longer_within(path.encode()):
        raise NotExpressibleError("another location begins with the same characters")
    if siblings.has_prefix(f"{path}/".encode()):
        raise NotExpressibleError("another location differs by the last slash only")
    beyond = f"{_escaped(path)}[^/].*"
    return Matched(({"path": {"prefix": path}}, {"path": {"regex": beyond}}))


def _directory(path: str, siblings: Siblings, *, proxied: bool, ranked: bool) -> Matched:
    stem = path[:-1]
    if siblings.has_prefix(stem.encode()):
        raise NotExpressibleError("another location differs by the last slash only")
    if proxied:
        taken = siblings.has_exact(stem.encode())
        return Matched(({"path": {"prefix": stem}},), None if taken else stem)
    if not ranked and siblings.has_longer(path.encode()):
        raise NotExpressibleError("it stands above another location and does not proxy")
    return Matched(({"path": {"regex": f"{_escaped(path)}.*"}},))


def location_words(
    match: Sequence[Toml], modifier: str, pattern: str | None = None
) -> tuple[Arg, ...]:
    """Returns the words after `location` for these matches; the inverse of `match_of`.
    `pattern` is nginx's own expression, as it was.
    """
    if pattern is not None:
        return (Op(modifier), Plain(pattern))
    conditions = [_path(one) for one in match]
    if not conditions:
        path = "/"
    elif len(conditions) > 1:
        path = str(conditions[0]["prefix"])
    else:
        ((kind, value),) = conditions[0].items()
        path = str(value)
        if kind == "exact":
            modifier = "="
        elif kind == "prefix":
            path += "/"
        else:
            path = path.removesuffix(".*").replace("\\", "")
    return (Op(modifier), Plain(path)) if modifier else (Plain(path),)


def _path(match: Toml) -> Table:
    path = match["path"] if isinstance(match, Mapping) else None
    if not isinstance(path, Mapping):
        raise TypeError("a match of an import is by path")
    return path


def _escaped(path: str) -> str:
    """Returns the path as an expression that matches itself."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}" if found[0] == "." else found[0], path)
