"""Reads what a request for a tap asks to see. Pure."""

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, TypeAlias

from headgate.engines.types import TapFilter
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed, nearest
from headgate.kernel.units import Duration

Named: TypeAlias = Mapping[str, Collection[str]]
"""The names of the served plan, by `listener`, `route` and `upstream`."""

_HOST: Final = re.compile(r"(?:\*\.)?[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")
_METHOD: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_STATUS: Final = re.compile(r"([1-5])xx|([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")
_LONGEST: Final = 8 << 10


def tap_filter(pairs: Iterable[tuple[str, str]], named: Named) -> TapFilter:
    """Returns the filter of a query; raises `Invalid` for what is none, or names nothing.

    >>> tap_filter([("status", "5xx"), ("client", "192.0.2.7")], {}).status
    (500, 599)
    """
    given: dict[str, str | bool | int | tuple[int, int]] = {}
    for key, value in pairs:
        if key not in _READERS and key not in _NAMES:
            raise Invalid(f'"{key}" is not a filter of taps', f"write {listed(KEYS)}")
        field = _FIELDS.get(key, key)
        if field in given:
            raise Invalid(f"`{key}` is given twice", "write it once")
        given[field] = _name(key, value, named) if key in _NAMES else _READERS[key](value)
    return TapFilter(**given)  # type: ignore[arg-type]  # each reader returns what its field is


def _name(kind: str, value: str, named: Named) -> str:
    known = named.get(kind, ())
    if value in known:
        return value
    like = nearest(value, known)
    allowed = f'did you mean "{like}"' if like else f"write {listed(sorted(known)) or 'none'}"
    raise Invalid(f'the served config has no {kind} "{value}"', allowed)


def _host(value: str) -> str:
    host = value.removesuffix(".").lower()
    if _HOST.fullmatch(host) is None:
        raise Invalid(
            f'"{value}" is not a host', 'write one without a port, such as "*.example.com"'
        )
    return host


def _path(value: str) -> str:
    if not value.startswith(("/", "*")) or len(value) > _LONGEST:
        raise Invalid(f'"{value[:99]}" is not the beginning of a path', 'write such as "/api"')
    return value


def _method(value: str) -> str:
    if _METHOD.fullmatch(value) is None:
        raise Invalid(f'"{value}" is not a method', 'write such as "GET"')
    return value.upper()


def _status(value: str) -> tuple[int, int]:
    found = _STATUS.fullmatch(value.lower())
    if found is None:
        raise Invalid(f'"{value}" is not a status', 'write such as "404", "5xx" or "400-499"')
    if found[1]:
        return int(found[1]) * 100, int(found[1]) * 100 + 99
    return int(found[2]), int(found[3] or found[2])


def _client(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise Invalid(
            f'"{value}" is not an address', 'write such as "192.0.2.7" or "192.0.2.0/24"'
        ) from None


def _slower(value: str) -> int:
    return Duration.parse(value).ms * 1_000


def _flag(value: str) -> bool:
    if value not in {"true", "false"}:
        raise Invalid(f'"{value}" is neither true nor false', 'write "true"')
    return value == "true"


_READERS: Final[Mapping[str, Callable[[str], str | bool | int | tuple[int, int]]]] = {
    "host": _host,
    "path": _path,
    "method": _method,
    "status": _status,
    "client": _client,
    "slower": _slower,
    "headers": _flag,
}
_NAMES: Final = ("listener", "route", "upstream")
_FIELDS: Final = {"slower": "slower_us"}
KEYS: Final = (*_READERS, *_NAMES)
"""The keys that a query may have."""
