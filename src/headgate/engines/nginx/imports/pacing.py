"""Converts `limit_rate` and `limit_rate_after` to `bandwidth`, and back."""

from typing import Final

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.headers import middleware
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    validated,
)
from headgate.kernel.units import ByteSize
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Word, directive

KIND: Final = "bandwidth"
NAMES: Final = frozenset({"limit_rate", "limit_rate_after"})
"""The lines that become the middleware."""

_NONE: Final = b"0"


def pace_of(around: Around) -> Table | None:
    """Returns the middleware; None where answers pass as they come.

    nginx lets the bytes of a second pass at once, and after them those of `limit_rate_after`.
    Raises `NotExpressibleError` for a rate that a variable says, or that is out of range here.
    """
    rate, after = (
        _bytes(around.value(name, _NONE)) for name in (b"limit_rate", b"limit_rate_after")
    )
    # Without buffers nginx heeds no rate.
    if rate == 0 or around.value(b"proxy_buffering", b"on") == b"off":
        return None
    table = {"download": f"{ByteSize(rate)}/s", "burst": str(ByteSize(rate + after))}
    return validated(ModelObject("middlewares", KIND, {KIND: table})).table


def _bytes(value: bytes) -> int:
    if values.has_variables(value):
        raise NotExpressibleError("`limit_rate` with a variable has no counterpart")
    size = values.size(value)
    return 0 if size == "off" else ByteSize.parse(size).bytes


def notes_of(found: Table | None) -> tuple[str, ...]:
    """Returns what differs."""
    if found is None:
        return ()
    return ("`limit_rate`: heads do not count here, and WebSockets are held back, too",)


def to_nginx(route: Table) -> list[Directive]:
    """Returns the lines of a route's `bandwidth`; the inverse of `pace_of`."""
    table = middleware(route, KIND)
    if not table:
        return []
    rate = ByteSize.parse(str(table["download"]).removesuffix("/s")).bytes
    after = ByteSize.parse(str(table["burst"])).bytes - rate
    # What the server says of the second would count for a location that says nothing.
    sizes = (("limit_rate", rate), ("limit_rate_after", after))
    return [directive(name, Word(values.nginx_size(str(ByteSize(size))))) for name, size in sizes]
