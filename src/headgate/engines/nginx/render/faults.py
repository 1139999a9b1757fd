"""Renders answers to faults: a text for people and `Proxy-Status` (RFC 9209),
like the native engine.

nginx knows less of the cause than the native engine; the maps derive it from the status and from
whether a connection was made.
"""

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from headgate.engines.nginx.render.names import ERROR_PLACE
from headgate.engines.nginx.render.prelude import mapped
from headgate.features.nginx import Entry, Parts, Shared, as_arg
from headgate.features.nginx_headers import Headers
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    Literal,
    MapKey,
    Plain,
    Regex,
    Template,
    Var,
    Word,
    comment,
    directive,
)

_FAULTS: Final = (
    ("404 ", "Not Found", "destination_not_found", "no-route", "no route matches this request"),
    (
        "405 ",
        "Method Not Allowed",
        "http_request_denied",
        "method-refused",
        "method not allowed here",
    ),
    (
        "408 ",
        "Request Timeout",
        "http_request_error",
        "body-timeout",
        "the request came too slowly",
    ),
    (
        "413 ",
        "Content Too Large",
        "http_request_denied",
        "body-too-large",
        "request body larger than allowed here",
    ),
    (
        "421 ",
        "Misdirected Request",
        "http_request_denied",
        "misdirected",
        "this connection was made for another host",
    ),
    (
        "429 REJECTED ",
        "Too Many Requests",
        "http_request_denied",
        "concurrency-limit",
        "as many requests as this route allows are in progress",
    ),
    (
        "429 ",
        "Too Many Requests",
        "http_request_denied",
        "rate-limit",
        "more requests than this route allows",
    ),
    (
        "431 ",
        "Request Header Fields Too Large",
        "http_request_error",
        "head-bytes",
        "request head too large",
    ),
    (
        r"502 (?:.*[ ,])?-\z",
        "Bad Gateway",
        "connection_refused",
        "connect-refused",
        "the upstream could not be reached",
    ),
    (
        "502 ",
        "Bad Gateway",
        "connection_terminated",
        "upstream-closed",
        "the upstream did not answer as it should",
    ),
    (
        "503 REJECTED ",
        "Service Unavailable",
        "connection_limit_reached",
        "connection-limit",
        "this client has as many requests in progress as it may",
    ),
    (
        "503 ",
        "Service Unavailable",
        "destination_unavailable",
        "no-endpoint",
        "no endpoint can be used now",
    ),
    (
        r"504 (?:.*[ ,])?-\z",
        "Gateway Timeout",
        "connection_timeout",
        "connect-timeout",
        "the upstream did not accept a connection in time",
    ),
    (
        "504 ",
        "Gateway Timeout",
        "http_response_timeout",
        "first-byte-timeout",
        "the upstream did not answer in time",
    ),
)
"""(beginning of status, result of `limit_conn` and times of connecting, phrase, RFC 9209 token, our
reason, for people)"""


class Fault(NamedTuple):
    """The description of a fault: our reason, `Proxy-Status` and the text for people."""

    reason: str
    status: str
    text: str


def _fault(row: tuple[str, str, str, str, str]) -> Fault:
    seen, phrase, token, reason, why = row
    told = f'headgate; error={token}; details="{why}"'
    return Fault(reason, told, f"{seen[:3]} {phrase}\n{why}\n")


NO_ENDPOINT: Final = next(one for one in map(_fault, _FAULTS) if one.reason == "no-endpoint")

_NOT_IMPORTED: Final = "not-imported: this place of the imported config has no counterpart here"
"""The native engine's own words."""
NOT_IMPORTED_STATUS: Final = f'headgate; error=destination_unavailable; details="{_NOT_IMPORTED}"'
"""The same as a `Proxy-Status`."""

STATUS: Final = "proxy-status"
_LINES: Final = Var("hg_lines")

Lines = tuple[tuple[str, Parts], ...]

_STATUSES: Final = ("404", "405", "408", "413", "421", "429", "500", "502", "503", "504")
_HEAD_TOO_LARGE: Final = "494"


def maps(*, tells_limits: bool) -> list[Node]:
    """Returns the maps that describe each fault; `tells_limits`: nginx says which limit it was."""
    limit: tuple[str | Var, ...] = (Var("limit_conn_status"), " ") if tells_limits else ()
    source = Template((Var("status"), " ", *limit, Var("upstream_connect_time")))
    told = [_fault(row) for row in _FAULTS]

    def of(name: str, texts: list[str], default: str) -> Node:
        keys = [Regex(rf"~\A{fault[0]}") for fault in _FAULTS]
        entries = [(key, Literal(text, True)) for key, text in zip(keys, texts, strict=True)]
        return mapped(name, source, Literal(default, True), *entries)

    return [
        comment("Answers to faults"),
        of("hg_fault_reason", [one.reason for one in told], "internal"),
        of("hg_fault_status", [one.status for one in told], "headgate; error=proxy_internal_error"),
        of("hg_fault_text", [one.text for one in told], "500 Internal Server Error\n"),
        mapped("hg_fault_retry", Var("status"), Literal(""), (Word("429"), Var("hg_retry"))),
    ]


def pages() -> list[Node]:
    """Returns the lines that give faults these answers; for `http`, or a server of ours."""
    return [
        directive("error_page", *map(Word, _STATUSES), Word(ERROR_PLACE)),
        directive("error_page", Word(_HEAD_TOO_LARGE), Word("=431"), Word(ERROR_PLACE)),
    ]


@dataclass(slots=True)
class RouteLines:
    """The header lines that routes want on answers, for the answers to faults.

    A route's location says in a variable which lines those are; the location of faults has every
    header that any route wants, with the value that the variable stands for, or none.
    """

    _lines: dict[str, Lines] = field(default_factory=dict)
    _bare: list[str] = field(default_factory=list)

    def of(self, edits: Headers) -> list[Node]:
        """Returns what the location of a route with these edits says."""
        # The text is ours and of our type, whatever type the route gives to forwarded answers.
        lines = tuple((name, value) for name, value in edits.lines if name != "content-type")
        is_bare = STATUS in edits.drops
        if not (lines or is_bare):
            return []
        key = sha256(repr((lines, is_bare)).encode()).hexdigest()[:10]
        self._lines[key] = lines
        if is_bare and key not in self._bare:
            self._bare.append(key)
        return [directive("set", _LINES, Word(key))]

    def nodes(self, shared: Shared) -> list[Node]:
        """Returns `add_header` for all of them, beside the lines of every fault."""
        status: Arg = Var("hg_fault_status")
        if self._bare:
            none = [(MapKey(key), Literal("")) for key in sorted(self._bare)]
            status = shared.map("fault_status", _LINES, none, status)
        values: dict[tuple[str, int], list[Entry]] = {}
        for key, lines in sorted(self._lines.items()):
            seen: Counter[str] = Counter()
            for name, value in lines:
                place = values.setdefault((name, seen[name]), [])
                place.append((MapKey(key), as_arg(value)))
                seen[name] += 1
        found = [_added(STATUS, status), _added("retry-after", Var("hg_fault_retry"))]
        for (name, _), entries in sorted(values.items()):
            found.append(_added(name, shared.map(f"line_{name}", _LINES, entries, Literal(""))))
        return found


def _added(name: str, value: Arg) -> Node:
    return directive("add_header", Plain(name), value, Word("always"))


def place(lines: list[Node] | None = None) -> list[Node]:
    """Returns the location that answers, with these header lines; in every server."""
    return [directive("location", Plain(ERROR_PLACE), children=_answer(lines or _bare_lines()))]


def _answer(lines: list[Node]) -> list[Node]:
    return [
        directive("set", Var("hg_reason"), Var("hg_fault_reason")),
        directive("default_type", Literal("text/plain; charset=utf-8")),
        *lines,
        directive("return", Word("200"), Var("hg_fault_text")),
    ]


def _bare_lines() -> list[Node]:
    return RouteLines().nodes(Shared())


def at_once(edits: Headers, leading: str) -> tuple[list[Node], list[Node]]:
    """Returns the first `error_page` of a route's location, for what nginx refuses before it reads
    further lines (a body that is too large), and the location that it leads to; nothing where the
    route has no lines.
    """
    lines = [(name, value) for name, value in edits.lines if name != "content-type"]
    if not lines and STATUS not in edits.drops:
        return [], []
    told = [] if STATUS in edits.drops else [_added(STATUS, Var("hg_fault_status"))]
    told += [_added(name, as_arg(value)) for name, value in lines]
    return [directive("error_page", Word("413"), Plain(leading))], _answer(told)


def not_imported(edits: Headers, *, has_page: bool) -> list[Node]:
    """Returns the answer of a route for a place of an imported config that was not imported."""
    reason = directive("set", Var("hg_reason"), Literal("not-imported"))
    if has_page:
        return [reason, directive("return", Word("503"))]
    lines = [(name, value) for name, value in edits.lines if name != "content-type"]
    text = f"503 Service Unavailable\n{_NOT_IMPORTED}\n"
    return [
        reason,
        directive("default_type", Literal("text/plain; charset=utf-8")),
        *([] if STATUS in edits.drops else [_added(STATUS, Literal(NOT_IMPORTED_STATUS))]),
        *(_added(name, as_arg(value)) for name, value in lines),
        directive("return", Word("503"), Literal(text, True)),
    ]
