"""Converts `gzip` and its settings to `compress`, and back."""

from collections.abc import Mapping
from typing import Final

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.headers import middleware
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    Toml,
    items_in,
    validated,
)
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Plain, Word, directive

KIND: Final = "compress"
NAMES: Final = frozenset({"gzip", "gzip_comp_level", "gzip_min_length", "gzip_types"})
"""The lines that become the middleware; the others stay and are noted."""

_HTML: Final = "text/html"
_LEVEL: Final = b"1"
_MIN_LENGTH: Final = b"20"
_KEPT: Final[Mapping[bytes, tuple[bytes, str]]] = {
    b"gzip_vary": (b"on", "every answer of such a type and size has `Vary` here"),
    b"gzip_proxied": (b"any", "requests with `Via` get compressed answers here, too"),
    b"gzip_http_version": (b"1.1", "clients of HTTP/1.0 get no compressed answers here"),
    b"gzip_disable": (b"", "clients are told apart by `Accept-Encoding` alone here"),
}
"""The differences here unless a setting has this value."""
_DEFAULTS: Final = {
    b"gzip_vary": b"off",
    b"gzip_proxied": b"off",
    b"gzip_http_version": b"1.1",
    b"gzip_disable": b"",
}
_STATUSES: Final = "`gzip`: answers of every status are compressed here, in nginx 200, 403 and 404"


def compress_of(around: Around) -> Table | None:
    """Returns the middleware; None where answers stay as they are, or become smaller in a way
    that has no counterpart.
    """
    if around.value(b"gzip", b"off") != b"on":
        return None
    try:
        return _middleware(around)
    except NotExpressibleError:
        return None


def _middleware(around: Around) -> Table:
    lines = around.nearest(b"gzip_types")
    words = [values.text(word).lower() for line in lines for word in line.directive.values]
    table: dict[str, Toml] = {
        "algorithms": ["gzip"],
        "types": list(dict.fromkeys([_HTML, *words])),
        "min_size": values.size(around.value(b"gzip_min_length", _MIN_LENGTH)),
        "gzip_level": _level(values.text(around.value(b"gzip_comp_level", _LEVEL))),
    }
    return validated(ModelObject("middlewares", KIND, {KIND: table})).table


def _level(text: str) -> int:
    if not text.isdecimal():
        raise NotExpressibleError(f"`gzip_comp_level {text}` is no number")
    return int(text)


def notes_of(found: Table | None, around: Around) -> tuple[str, ...]:
    """Returns what differs."""
    if found is None:
        has_any = any(level.has_any(b"gzip") for level in around.levels)
        return ("compression stays in the kept text",) if has_any else ()
    notes = [_STATUSES]
    for name, (same, why) in _KEPT.items():
        value = around.value(name, _DEFAULTS[name])
        if value != same:
            notes.append(f"`{name.decode()}`: {why}")
    return tuple(notes)


def to_nginx(route: Table) -> list[Directive]:
    """Returns the lines of a route's `compress`; the inverse of `compress_of`."""
    table = middleware(route, KIND)
    if not table:
        return []
    types = [str(one) for one in items_in(table, "types") if one != _HTML]
    lines = [
        directive("gzip", Word("on")),
        directive("gzip_min_length", Word(values.nginx_size(str(table["min_size"])))),
        directive("gzip_comp_level", Word(str(table["gzip_level"]))),
    ]
    return [*lines, directive("gzip_types", *map(Plain, types))] if types else lines
