"""Converts `proxy_set_header` and `add_header` to header edits of a route, and back."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.objects import (
    NotExpressibleError,
    Table,
    Toml,
    items_in,
    table_in,
)
from headgate.features.nginx_headers import WITHOUT_ERRORS
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Arg, Literal, Template, Var, Word, directive

IMPLIED: Final = {
    "x-forwarded-for": ("$proxy_add_x_forwarded_for", "$remote_addr"),
    "x-forwarded-host": ("$host", "$http_host"),
    "x-forwarded-proto": ("$scheme",),
    "x-real-ip": ("$remote_addr",),
    "x-request-id": ("$request_id",),
}
"""Headers that our routes always set, with the values that mean what ours do;
the way back writes the first.
"""

PASSED_HOST: Final = ("$http_host", "$host")
_CLIENT_HOSTS: Final = frozenset(PASSED_HOST)
_CLOSED: Final = frozenset({"", "close"})
_ALWAYS: Final = b"always"
_STATUSES: Final[list[Toml]] = [200, 201, 204, 206, "301-304", "307-308"]
"""Those of `WITHOUT_ERRORS`, as `response_headers` has them."""
_SET_WORDS: Final = 2
_ADD_WORDS: Final = 3


class Forwarded(NamedTuple):
    """The headers that an endpoint sees: `host` a template, None = the client's."""

    host: str | None
    set: Table
    remove: Sequence[str]
    websocket: bool


def forwarded(around: Around, own_host: str, said: Mapping[str, str]) -> Forwarded:
    """Returns the `proxy_set_header` lines in effect; `own_host` is nginx's `$proxy_host` here,
    `said` the header that a service said for each variable of its, which goes on by itself, empty
    where nobody was asked.

    Raises `NotExpressibleError` for an unknown variable or a header of the connection.
    """
    host: str | None = own_host
    edits: dict[str, str] = {}
    removed: list[str] = []
    upgrades = connection = False
    seen: set[str] = set()
    for _, line in around.nearest(b"proxy_set_header"):
        name, value = two(line)
        lower = name.lower()
        if lower in seen:
            raise NotExpressibleError(f"`proxy_set_header {name}` comes twice: nginx sends both")
        seen.add(lower)
        if lower == "host":
            host = _host(value, own_host)
        elif lower == "upgrade":
            upgrades = _is(value, "$http_upgrade", "Upgrade")
        elif lower == "connection":
            connection = _keeps_upgrades(value, around)
        elif value in IMPLIED.get(lower, ()) or said.get(value) == lower:
            continue
        elif not value or said.get(value) == "":
            removed.append(lower)
        else:
            edits[lower] = values.template(value.encode())
    if upgrades != connection:
        raise NotExpressibleError("`Upgrade` and `Connection` are not passed on together")
    return Forwarded(host, edits, sorted(removed), upgrades)


def two(line: Directive) -> tuple[str, str]:
    if len(line.args) != _SET_WORDS:
        raise NotExpressibleError("`proxy_set_header` does not have two arguments")
    return values.text(line.values[0]), values.text(line.values[1])


def _host(value: str, own_host: str) -> str | None:
    if value in _CLIENT_HOSTS:
        return None
    return own_host if value == "$proxy_host" else values.template(value.encode())


def _is(value: str, wanted: str, name: str) -> bool:
    if value not in (wanted, ""):
        raise NotExpressibleError(f"the header {name} belongs to the connection")
    return value == wanted


def _keeps_upgrades(value: str, around: Around) -> bool:
    if value in _CLOSED:
        return False
    if value.lower() == "upgrade" or value == "$http_connection":
        return True
    if value.encode() in around.upgrades:
        return True
    raise NotExpressibleError("the header Connection belongs to the connection")


class Added(NamedTuple):
    """Headers that are added to every answer, and those of statuses without errors alone."""

    always: Table
    without_errors: Table


def added(around: Around, status: int | None) -> Added:
    """Returns the `add_header` lines in effect, by name; `status` is that of an answer of our own,
    which then gets all that it has.

    Raises `NotExpressibleError`.
    """
    every: dict[str, Toml] = {}
    without_errors: dict[str, Toml] = {}
    for _, line in around.nearest(b"add_header"):
        words = line.values
        always = len(words) == _ADD_WORDS and words[2] == _ALWAYS
        if len(words) not in (_SET_WORDS, _ADD_WORDS) or (len(words) == _ADD_WORDS and not always):
            raise NotExpressibleError("an `add_header` line is not understood")
        name = values.text(words[0]).lower()
        if not always and status is not None and status not in WITHOUT_ERRORS:
            _check_skipped(name, around)
            continue
        if name in every or name in without_errors or not words[1]:
            raise NotExpressibleError(f"`add_header {name}` comes twice or is empty")
        table = every if always or status is not None else without_errors
        table[name] = values.template(words[1])
    return Added(every, without_errors)


def _check_skipped(name: str, around: Around) -> None:
    """Raises `NotExpressibleError` if a line
    that this answer does not get cannot simply be left out.
    """
    if len([1 for level in around.levels if level.named(b"add_header")]) > 1:
        raise NotExpressibleError(f"`add_header {name}` hides those around it")


def hidden(around: Around) -> list[str]:
    """Returns the names of the `proxy_hide_header` lines in effect."""
    lines = around.nearest(b"proxy_hide_header")
    return sorted({values.text(one.directive.values[0]).lower() for one in lines})


def answered(added: Added, hidden: Sequence[str], fresh: Table | None) -> list[Toml]:
    """Returns the middlewares of an answer: an added header that is hidden, too, is replaced. Those
    of some statuses come first, because the first middleware edits last.

    `fresh` is what `expires` says, which nginx does between hiding and adding.
    """
    always = added.always
    of_some: Table = {}
    if added.without_errors:
        of_some = {"add": added.without_errors, "statuses": _STATUSES}
    if fresh is not None:
        first = _edits([of_some, {"add": always}])
        return [*first, fresh, *_edits([{"remove": hidden}])]
    table: Table = {
        "set": {name: value for name, value in always.items() if name in hidden},
        "add": {name: value for name, value in always.items() if name not in hidden},
        "remove": [name for name in hidden if name not in always],
    }
    return _edits([of_some, table])


def _edits(tables: Sequence[Table]) -> list[Toml]:
    """Returns the middlewares of edits, without what edits nothing."""
    made: list[Table] = [{key: value for key, value in one.items() if value} for one in tables]
    return [{"response_headers": one} for one in made if one]


def to_nginx(route: Table, host: str | None, upgrade: str) -> list[Directive]:
    """Returns the `proxy_set_header` lines of a route; `upgrade` is the value of Connection where
    it lets WebSockets through (a variable with its `$`, or a word).
    """
    edits = middleware(route, "request_headers")
    own = table_in(edits, "set")
    lines: list[Directive] = [
        directive("proxy_set_header", Word("Host"), _host_arg(host)),
        directive("proxy_http_version", Word("1.1")),
    ]
    if route.get("websocket") is False:
        lines.append(directive("proxy_set_header", Word("Connection"), Literal("")))
    else:
        passed: Arg = Var(upgrade[1:]) if upgrade.startswith("$") else Literal(upgrade)
        lines.append(directive("proxy_set_header", Word("Upgrade"), Var("http_upgrade")))
        lines.append(directive("proxy_set_header", Word("Connection"), passed))
    gone = [str(name) for name in items_in(edits, "remove")]
    lines += [
        directive("proxy_set_header", Literal(name), Var(allowed[0][1:]))
        for name, allowed in IMPLIED.items()
        if name not in own and name not in gone
    ]
    for name, value in own.items():
        words = values.nginx_template(str(value))
        lines.append(directive("proxy_set_header", Literal(name), words))
    return lines + [directive("proxy_set_header", Literal(name), Literal("")) for name in gone]


def _host_arg(host: str | None) -> Var | Template:
    return Var(PASSED_HOST[0][1:]) if host is None else values.nginx_template(host)


def added_lines(route: Table) -> list[Directive]:
    """Returns the `add_header` and `proxy_hide_header` lines of a route."""
    lines: list[Directive] = []
    gone: list[str] = []
    for edits in _every(route, "response_headers"):
        replaced = table_in(edits, "set")
        always = () if "statuses" in edits else (Word("always"),)
        for name, value in (*replaced.items(), *table_in(edits, "add").items()):
            text = values.nginx_template(str(value))
            lines.append(directive("add_header", Literal(name), text, *always))
        gone += [*map(str, items_in(edits, "remove")), *replaced]
    return lines + [directive("proxy_hide_header", Literal(name)) for name in gone]


def added_to_own(route: Table) -> list[Toml]:
    """Returns the middlewares that a route has for an answer of nginx itself, whose status is none
    of an error.
    """
    table: dict[str, Toml] = {}
    for edits in _every(route, "response_headers"):
        table |= {**table_in(edits, "set"), **table_in(edits, "add")}
    fresh = [{"expires": one} for one in _every(route, "expires")]
    return [*_edits([{"add": table}]), *fresh]


def middleware(route: Table, key: str) -> Table:
    """Returns the first middleware of that kind; an empty table where there is none."""
    return next(_every(route, key), {})


def _every(route: Table, key: str) -> Iterator[Table]:
    for one in items_in(route, "middlewares"):
        if isinstance(one, Mapping) and key in one:
            yield table_in(one, key)
