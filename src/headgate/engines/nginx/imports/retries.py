"""Converts `proxy_next_upstream` to `retry` of a route, and back.

nginx tries each endpoint of an upstream once. Where there is one alone, nothing is tried again, and
a route has no `retry`; a name counts as one endpoint.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from headgate.engines.nginx.common.retries import UNLIMITED
from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.objects import (
    NotExpressibleError,
    Table,
    Toml,
    items_in,
    table_in,
)
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Word, directive

KIND: Final = "retry"
NAMES: Final = frozenset(
    {"proxy_next_upstream", "proxy_next_upstream_timeout", "proxy_next_upstream_tries"}
)

_USUAL: Final = ("error", "timeout")
_ALWAYS: Final = ("reset", "timeout")
"""The counterparts of these here; `invalid_header` belongs to the first."""
_STATUS: Final = "http_"
_EVERY: Final = "non_idempotent"
_NO_LIMIT: Final = ("0", "0s", "0ms")
_MOST: Final = 10
"""The most retries of a route."""
_EACH: Final[Table] = {"percent": 100, "per_second": UNLIMITED}
"""The budget of a node that tries every request again, as nginx does."""


def retry_of(around: Around, pools: Sequence[Table]) -> dict[str, Toml]:
    """Returns `retry` of a route to one of these upstreams; empty if nothing is tried again.

    Raises `NotExpressibleError` for what has no counterpart where there are several endpoints.
    """
    counts = [_tried(pool) for pool in pools]
    if max(counts, default=0) < 2:  # noqa: PLR2004
        return {}
    words = _words(around)
    _check_tries(around, max(counts))
    retries = min(min(counts) - 1, _MOST)
    if not retries:
        return {}
    found: dict[str, Toml] = {"retries": retries, "on": [*_ALWAYS, *_statuses(words)]}
    if _EVERY in words:
        found["methods"] = "all"
    return {KIND: {**found, "budget": _EACH}}


def _tried(pool: Table) -> int:
    """Returns how many endpoints nginx tries for one request at most."""
    endpoints = items_in(pool, "endpoints")
    return sum(not isinstance(one, Mapping) or one.get("weight") != 0 for one in endpoints)


def _words(around: Around) -> tuple[str, ...]:
    lines = around.nearest(b"proxy_next_upstream")
    words = tuple(values.text(word) for line in lines for word in line.directive.values)
    if "off" in words:
        raise NotExpressibleError(
            "`proxy_next_upstream off`: a request that could not be connected to an endpoint goes "
            "to the next one here"
        )
    lacking = [one for one in _USUAL if words and one not in words]
    if lacking:
        raise NotExpressibleError(
            f"`proxy_next_upstream` without `{lacking[0]}`: what could not be connected to goes to "
            "the next endpoint here"
        )
    return words


def _check_tries(around: Around, endpoints: int) -> None:
    """Raises `NotExpressibleError` unless each endpoint may be tried, whenever that is."""
    tries = values.text(around.value(b"proxy_next_upstream_tries", b"0"))
    if not tries.isdigit() or 0 < int(tries) < endpoints:
        raise NotExpressibleError(
            f"`proxy_next_upstream_tries {tries}` counts endpoints that refuse connections, which "
            "are passed over here"
        )
    if values.text(around.value(b"proxy_next_upstream_timeout", b"0")) not in _NO_LIMIT:
        raise NotExpressibleError("`proxy_next_upstream_timeout` has no counterpart")


def _statuses(words: Sequence[str]) -> list[str]:
    found = [word.removeprefix(_STATUS) for word in words if word.startswith(_STATUS)]
    return sorted(set(found))


def notes_of(rest: Table, pools: Sequence[Table]) -> tuple[str, ...]:
    """Returns what differs for a route to one of these upstreams."""
    notes: tuple[str, ...] = ()
    if len({_tried(pool) for pool in pools}) > 1:
        notes += (
            "`proxy_next_upstream`: a request is tried at as many endpoints here as the branch "
            "with the fewest has",
        )
    if KIND not in rest:
        return notes
    on = items_in(table_in(rest, KIND), "on")
    notes += (
        "`proxy_next_upstream`: what is no answer at all counts as `error` here; a wait of up to "
        "250 ms comes before a retry; bodies above 64 KiB, and methods of WebDAV, are sent once",
    )
    if len(on) > len(_ALWAYS):
        notes += (
            "`proxy_next_upstream`: a longer `Retry-After` of an answer is waited for here, or the "
            "answer is passed on",
        )
    return notes


def to_nginx(route: Table) -> list[Directive]:
    """Returns the lines of a route's `retry`; the inverse of `retry_of`."""
    if KIND not in route:
        return []
    table = table_in(route, KIND)
    statuses = [str(one) for one in items_in(table, "on") if one not in _ALWAYS]
    words = [*_USUAL, *(f"{_STATUS}{status}" for status in statuses)]
    words += [_EVERY] if table.get("methods") == "all" else []
    return [
        directive("proxy_next_upstream", *map(Word, words)),
        directive("proxy_next_upstream_tries", Word("0")),
        directive("proxy_next_upstream_timeout", Word("0")),
    ]
