"""Decides which upstreams have endpoints in the table, and writes the table as text. Pure.

The text is lines, in the file beside the releases as over the socket: `upstream NAME`, then for
each of its endpoints `WEIGHT 0|1 ADDRESS`, where 1 is a backup. Weights count from 1; the table has
no endpoint of weight 0.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from headgate.features.nginx_registry import LUA_CALLS, lua_call
from headgate.plan.objects import Endpoint, Upstream
from headgate.plan.plan import Plan

Table = Mapping[str, tuple[str, ...]]
"""The lines of each upstream's endpoints, in their order."""

NAMES: Final = "lua/upstreams"
"""The file of a release with the names of its upstreams that need the table, one a line."""

MOST: Final = 10_000
"""The most endpoints of one upstream that nginx's side takes."""

_LINE: Final = re.compile(r"[1-9][0-9]{0,8} [01] [^\x00-\x1f\x7f]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class BadTableError(ValueError):
    """Text that is not a table; says which line."""


def why_static(upstream: Upstream) -> str:
    """Returns why an upstream's endpoints stay in the config;
    empty when they may be in the table.

    >>> why_static(Upstream((Endpoint("127.0.0.1:80"),)))
    ''
    >>> why_static(Upstream((Endpoint("app.internal:80"),)))
    'names are resolved when nginx starts or reloads'
    """
    if lua_call(upstream.balance) is None:
        return f"workers share no counts and no hash: only {' and '.join(LUA_CALLS)} are done"
    if upstream.max_connections or any(one.max_connections for one in upstream.endpoints):
        return "connections are only limited by what nginx itself chooses"
    if upstream.host_header == "endpoint":
        return "its Host is the endpoint's, which is written in the config"
    if len(upstream.endpoints) > MOST:
        return f"it has more than {MOST} endpoints"
    if not all(_is_address(one.address) for one in upstream.endpoints):
        return "names are resolved when nginx starts or reloads"
    return ""


def table_of(
    plan: Plan, out: Mapping[str, frozenset[str]] = MappingProxyType({})
) -> dict[str, tuple[str, ...]]:
    """Returns the endpoints of every upstream of a plan that has them in the table,
    without those that take nothing now.
    """
    return {
        key.name: tuple(
            _line(one)
            for one in entry.value.endpoints
            if one.weight and one.address not in out.get(key.name, ())
        )
        for key, entry in sorted(plan.objects.items())
        if isinstance(entry.value, Upstream) and not why_static(entry.value)
    }


def encode(table: Table) -> bytes:
    """Returns a table as text.

    >>> encode({"app": ("1 0 127.0.0.1:80",)})
    b'upstream app\\n1 0 127.0.0.1:80\\n'
    """
    return "".join(_lines(table)).encode()


def decode(text: bytes) -> dict[str, tuple[str, ...]]:
    """Returns a table from its text. Raises BadTableError.

    >>> decode(b"upstream app\\n1 0 127.0.0.1:80\\nupstream none\\n")
    {'app': ('1 0 127.0.0.1:80',), 'none': ()}
    """
    found: dict[str, list[str]] = {}
    last: list[str] | None = None
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError:
        raise BadTableError("it is not UTF-8") from None
    if lines.pop():
        raise BadTableError("the end is missing")
    for number, line in enumerate(lines, 1):
        word, _, name = line.partition(" ")
        if word == "upstream" and name and name not in found:
            last = found[name] = []
        elif last is None or not _LINE.fullmatch(line):
            raise BadTableError(f"line {number} is not an endpoint")
        else:
            last.append(line)
    return {name: tuple(own) for name, own in found.items()}


def _lines(table: Table) -> Iterator[str]:
    for name, own in table.items():
        if _CONTROL.search(name):
            raise BadTableError("a name holds a control character")
        yield f"upstream {name}\n"
        for line in own:
            if not _LINE.fullmatch(line):
                raise BadTableError("an endpoint is not one line")
            yield f"{line}\n"


def _line(endpoint: Endpoint) -> str:
    return f"{endpoint.weight} {int(endpoint.backup)} {endpoint.address}"


def _is_address(text: str) -> bool:
    """Reports whether it is an IP address with a port, or a socket's path."""
    if text.startswith("unix:/"):
        return not _CONTROL.search(text)
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return False
    is_v6 = found.version == 6  # noqa: PLR2004 - the protocol's number
    return (
        is_v6 == (bare != host)
        and "%" not in bare
        and port.isascii()
        and port.isdigit()
        and 1 <= int(port) <= 65_535  # noqa: PLR2004 - the last port
    )
