"""Converts `limit_req` and `limit_conn` to middlewares that routes share, and back.

A zone counts for all places that use it, and so does a named middleware, which however has one
burst, one status and so on: a zone that is used in several ways has no counterpart, for several
middlewares would let through what nginx counts together. Nor have keys that requests may lack:
nginx does not count requests without a key.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.around import Around, Level, Zones
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    Toml,
    items_in,
    table_in,
    validated,
)
from headgate.features import nginx_limits
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Plain, Word, directive

KINDS: Final = (b"limit_req", b"limit_conn")

_WORDS: Final[Mapping[bytes, str]] = {
    b"limit_req": "rate_limit",
    b"limit_conn": "concurrency_limit",
}
_STATUS: Final = b"503"
"""nginx's default of both."""

_KEYS: Final[Mapping[bytes, Mapping[str, Toml]]] = {
    b"$binary_remote_addr": {"key": "client_ip", "ipv6_prefix": 128},
    b"$remote_addr": {"key": "client_ip", "ipv6_prefix": 128},
    b"$host": {"key": "host"},
}
_STATE_BYTES: Final = 128
"""The bytes of a key in a zone of `limit_req` on a 64-bit machine, as nginx documents it."""

_MOST_KEYS: Final = 1 << 24

_APART: Final = (
    "it is used in several ways, all of which nginx counts together; here each would count alone"
)
_NAMED: Final = "its middleware would have the name of another zone's"
_NONE: Final[Mapping[str, Table]] = MappingProxyType({})


class _Use(NamedTuple):
    """A line that uses a zone: how much it lets through, and what it does with the rest."""

    zone: str
    most: dict[str, Toml]
    rest: dict[str, Toml]


class Limits(NamedTuple):
    """The middlewares of a route by name, and what is different here."""

    tables: Mapping[str, Table] = _NONE
    notes: tuple[str, ...] = ()


def limits_of(around: Around) -> Limits:
    """Returns the limits in effect; raises `NotExpressibleError`."""
    tables: dict[str, Table] = {}
    notes: list[str] = []
    for kind in KINDS:
        used = list(_uses(kind, around))
        levels = around.levels if used else ()
        declared = [one.directive for level in levels for one in level.named(kind + b"_zone")]
        for zone, most, rest in used:
            if why := around.zones.get((kind, zone)):
                raise NotExpressibleError(f"`{kind.decode()}`: the zone {zone}: {why}")
            own = {**_zone(kind, zone, declared), **most, **rest}
            made = ModelObject("middlewares", _name(zone, most, rest), {_WORDS[kind]: own})
            tables[made.name] = validated(made).table
        if used:
            notes.append(f"`{kind.decode()}`: the answer over it is ours, with `Retry-After`")
    return Limits(tables, tuple(notes))


def are_declared(http: Level) -> bool:
    """Reports whether there is a zone that limits could use."""
    return any(http.named(kind + b"_zone") for kind in KINDS)


def without_counterpart(places: Iterable[Around]) -> Zones:
    """Returns why zones have no counterpart where all these places use them."""
    ways: dict[tuple[bytes, str], list[_Use]] = {}
    named: dict[str, set[tuple[bytes, str]]] = {}
    for around in places:
        for kind in KINDS:
            # nginx takes no config with a line that we cannot read.
            with contextlib.suppress(NotExpressibleError):
                for use in _uses(kind, around):
                    known = ways.setdefault((kind, use.zone), [])
                    known += [] if use in known else [use]
                    named.setdefault(_name(*use), set()).add((kind, use.zone))
    alike = {one for zones in named.values() if len(zones) > 1 for one in zones}
    apart = {one for one, known in ways.items() if len(known) > 1}
    return {**dict.fromkeys(alike, _NAMED), **dict.fromkeys(apart, _APART)}


def _uses(kind: bytes, around: Around) -> Iterator[_Use]:
    """Yields the uses of zones in effect; raises `NotExpressibleError`."""
    used = around.nearest(kind)
    if not used:
        return
    rest: dict[str, Toml] = {
        "status": _count(values.text(around.value(kind + b"_status", _STATUS)))
    }
    if around.value(kind + b"_dry_run", b"off") == b"on":
        rest["dry_run"] = True
    for line in used:
        words = [values.text(one) for one in line.directive.values]
        zone, most = _requests(words) if kind == b"limit_req" else _connections(words)
        yield _Use(zone, most, rest)


def _requests(words: Sequence[str]) -> tuple[str, dict[str, Toml]]:
    """Returns the zone of a `limit_req`, how many requests of a key pass, and above which number
    they wait first.
    """
    found = dict(word.partition("=")[::2] for word in words)
    burst = _count(found.get("burst", "0"))
    most: dict[str, Toml] = {"burst": burst + 1}
    at_once = _count(found.get("delay", "0")) + 1
    if "nodelay" not in found and at_once <= burst:
        most["delay_above"] = at_once
    return found.get("zone", ""), most


def _connections(words: Sequence[str]) -> tuple[str, dict[str, Toml]]:
    """Returns the zone of a `limit_conn`, and how many requests of a key are in progress."""
    zone, most = (*words, "", "")[:2]
    return zone, {"requests": _count(most)}


def _count(text: str) -> int:
    if not text.isdecimal():
        raise NotExpressibleError(f"`{text}` is no number that we know")
    return int(text)


def _name(zone: str, most: Table, rest: Table) -> str:
    """Returns the name of a zone's middleware: one for each way in which the zone is used."""
    words = [zone, *(str(value) for value in most.values())]
    words += [str(rest["status"])] if rest["status"] != int(_STATUS) else []
    return "-".join([*words, *(["dry-run"] if rest.get("dry_run") else [])])


def _zone(kind: bytes, name: str, lines: Iterable[Directive]) -> dict[str, Toml]:
    """Returns what a zone decides of a middleware."""
    for line in lines:
        words = _declared(kind, line)
        if words.get("zone", "").partition(":")[0] == name:
            return _counted(kind, line.values[0], words)
    raise NotExpressibleError(f"`{kind.decode()}` names a zone that no line around it declares")


def _declared(kind: bytes, line: Directive) -> dict[str, str]:
    """Returns the words of the line of a zone; none for any other line."""
    if line.name != kind + b"_zone":
        return {}
    return dict(values.text(word).partition("=")[::2] for word in line.values[1:])


def _counted(kind: bytes, key: bytes, words: Mapping[str, str]) -> dict[str, Toml]:
    if key not in _KEYS:
        text = key.decode(errors="replace")
        raise NotExpressibleError(f"`{kind.decode()}_zone {text}`: no counterpart counts by that")
    keys = _bytes(words["zone"].partition(":")[2]) // _STATE_BYTES
    table: dict[str, Toml] = {**_KEYS[key], "max_keys": min(max(keys, 1), _MOST_KEYS)}
    if kind == b"limit_req":
        table["rate"] = _rate(words.get("rate", "1r/s"))
    return table


def _rate(text: str) -> str:
    number, slash, unit = text.partition("r/")
    if not slash or unit not in ("s", "m"):
        raise NotExpressibleError(f"`rate={text}` has no counterpart")
    return f"{_count(number)}/{unit}"


def _bytes(size: str) -> int:
    unit = {"k": 1 << 10, "m": 1 << 20}.get(size[-1:].lower(), 1)
    return _count(size[:-1] if unit > 1 else size) * unit


def to_nginx(
    route: Table, limits: Mapping[str, Table], kept: Iterable[Directive]
) -> list[Directive]:
    """Returns the lines that a route's limits stand for; the inverse of `limits_of`.

    `limits` are the middlewares by name, `kept` the lines that declare zones.
    """
    lines = tuple(kept)
    names = [name for name in items_in(route, "middlewares") if isinstance(name, str)]
    out: list[Directive] = []
    for kind in KINDS:
        own = {name: limits[name] for name in names if _WORDS[kind] in limits.get(name, {})}
        for name, table in own.items():
            out.append(_written(kind, name, table_in(table, _WORDS[kind]), lines))
        if own:
            first = table_in(next(iter(own.values())), _WORDS[kind])
            word = kind.decode()
            out.append(directive(f"{word}_status", Word(str(first["status"]))))
            out.append(directive(f"{word}_dry_run", Word("on" if "dry_run" in first else "off")))
    return out


def _written(kind: bytes, name: str, table: Table, lines: Sequence[Directive]) -> Directive:
    most = {key: table[key] for key in ("burst", "delay_above", "requests") if key in table}
    declared = (_declared(kind, line).get("zone", "").partition(":")[0] for line in lines)
    zone = next(one for one in declared if one and _name(one, most, table) == name)
    if kind == b"limit_conn":
        return directive("limit_conn", Plain(zone), Word(str(table["requests"])))
    requests = int(str(table["burst"]))
    burst = nginx_limits.burst(requests, int(str(table.get("delay_above", requests))))
    return directive("limit_req", Plain(f"zone={zone}"), *map(Word, burst))
