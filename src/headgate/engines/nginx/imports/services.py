"""Converts `auth_request` to `forward_auth`.

It closes routes, so that it is taken only where the service is asked the same question: by a
location that sends it the headers of the client by name, or all of them. The lines stay in the kept
text, where they mean what the middleware says; the endpoint's headers come back with their
variables.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

from headgate._core import is_client_claim
from headgate.engines.nginx.imports import (
    effects,
    errorpages,
    headers,
    proxies,
    retries,
    returns,
    values,
)
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    Toml,
    items_in,
    table_in,
    validated,
)
from headgate.engines.nginx.imports.passwords import Asked
from headgate.engines.nginx.imports.proxies import Pools
from headgate.kernel.units import Duration
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Literal, Var, directive

KIND: Final = "forward_auth"

_OFF: Final = (b"off",)
_ON: Final = b"on"
_LONGEST: Final = Duration.parse("1m")
_STATUSES: Final = ("401", "403")
_METHODS: Final = (b"GET", b"HEAD", b"POST")
_ANSWERED: Final = re.compile(r"\$(?:upstream_http_([a-z0-9_]+)|\{upstream_http_([a-z0-9_]+)\})")
_SET_WORDS: Final = 2
_LIMITS: Final = (b"limit_req", b"limit_conn")

_OWN: Final = frozenset(
    {
        *("internal", "proxy_pass", "proxy_method", "proxy_http_version"),
        *("proxy_pass_request_body", "proxy_pass_request_headers", "proxy_set_header"),
        *("proxy_connect_timeout", "proxy_read_timeout", "proxy_send_timeout"),
        *retries.NAMES,
    }
)
"""The lines that the location that asks may have, beside those about how bytes move."""

_URLS: Final = tuple(f"$scheme://{host}$request_uri" for host in headers.PASSED_HOST)
_TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    "x-forwarded-for": ("$remote_addr",),
    "x-forwarded-host": headers.PASSED_HOST,
    "x-forwarded-method": ("$request_method",),
    "x-forwarded-proto": ("$scheme",),
    "x-forwarded-uri": ("$request_uri",),
    "x-original-method": ("$request_method",),
    "x-original-url": _URLS,
    "x-request-id": ("$request_id",),
}
"""The headers that the service always gets here, with the values that mean the same."""

_NUMBERS: Final = frozenset({"x-request-id"})
"""Of these, what nobody can decide by."""
_ADDRESSES: Final = ("forwarded", "x-real-ip")
"""The headers where services look for the client's address: a client's own never go along here."""
_NEVER: Final = frozenset(
    {
        *("connection", "content-length", "expect", "http2-settings", "keep-alive"),
        *("proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", *_ADDRESSES),
    }
)
"""Headers that never go along here with all those of a client, beside those that tell who it is."""
_OTHER_HOST: Final = "the service gets the client's `Host` here; set it to `$host`"

_EMPTY: Final = frozenset({"connection", "content-length", "content-type", "upgrade"})


def service_of(around: Around, pools: Pools) -> Asked | None:
    """Returns the middleware of a location that asks a service; None if it asks none.

    Raises `NotExpressibleError` for everything that is not understood to the last line.
    """
    lines = around.nearest(b"auth_request")
    if not lines or lines[0].directive.values == _OFF:
        return None
    uri = values.text(lines[0].directive.values[0])
    level = around.services.get(uri)
    if level is None:
        raise NotExpressibleError(f"`auth_request {uri}` leads to no location of that path")
    asking = around._replace(levels=(level, *around.levels[1:]))
    _check_lines(uri, asking, around)
    _check_variables(uri, asking, around)
    for status in _STATUSES:
        returns.check_error_pages(status, around)
    errorpages.check_asked(f"`auth_request {uri}`", asking)
    table: dict[str, Toml] = {**_asked(uri, asking, pools), "headers": _sent(asking)}
    if copied := _copied(around):
        table["copy"] = copied
    digest = sha256(repr(table).encode()).hexdigest()[:8]
    name = re.sub(r"[^A-Za-z0-9_]+", "-", uri).strip("-") or "auth"
    made = ModelObject("middlewares", f"{name}-{digest}", {KIND: table})
    return Asked(made.name, validated(made).table)


def _check_lines(uri: str, asking: Around, around: Around) -> None:
    for line in asking.levels[0].lines:
        name = values.text(line.directive.name)
        if name in _OWN or effects.is_of_transport(name) or name in effects.ASKING:
            continue
        if not effects.is_plain_set(line.directive) and not effects.is_inert(line.directive):
            raise NotExpressibleError(f"`auth_request {uri}`: `{name}` there has no counterpart")
    if asking.value(b"proxy_pass_request_body", _ON) != _OFF[0]:
        raise NotExpressibleError(f"`auth_request {uri}` without `proxy_pass_request_body off`")
    if any(asking.nearest(name) != around.nearest(name) for name in _LIMITS):
        raise NotExpressibleError(f"`auth_request {uri}`: limits of their own count there")


def _check_variables(uri: str, asking: Around, around: Around) -> None:
    """A subrequest shares its variables with the request, which goes on with what it has set."""
    mine = {line.directive.values[0] for level in around.levels for line in level.named(b"set")}
    asked = [line.directive for line in asking.levels[0].named(b"set")]
    told = [line.directive for line in around.nearest(b"auth_request_set")]
    for line in [*asked, *told]:
        if line.values[0] in mine or not effects.is_own_variable(line.values[0]):
            name = values.text(line.values[0])
            raise NotExpressibleError(f"`auth_request {uri}` changes the variable {name}")


def _asked(uri: str, asking: Around, pools: Pools) -> dict[str, Toml]:
    """Returns whom the location asks, what for, and how long."""
    passed = asking.levels[0].named(b"proxy_pass")
    if not passed:
        raise NotExpressibleError(f"`auth_request {uri}` proxies nothing")
    target = proxies.target_of(passed[0].directive, asking, pools)
    method = asking.value(b"proxy_method", _METHODS[0])
    if target.tls:
        raise NotExpressibleError(f"`auth_request {uri}`: a service that is asked has no TLS here")
    if target.split is not None or method not in _METHODS:
        raise NotExpressibleError(f"`auth_request {uri}`: how it asks has no counterpart")
    read, connect = proxies.timeouts_of(asking)
    if read == "off" or Duration.parse(read) > _LONGEST:
        raise NotExpressibleError(f"`auth_request {uri}` waits longer than {_LONGEST}")
    return {
        "upstream": pools.lead_to(target.name, connect),
        "path": target.uri or uri,
        "method": values.text(method),
        "timeout": read,
    }


def _sent(asking: Around) -> Toml:
    """Returns the headers of the client that the service gets: their names, or `all`."""
    passes_all = asking.value(b"proxy_pass_request_headers", _ON) != _OFF[0]
    sent: list[Toml] = []
    written: set[str] = set()
    for _, line in asking.nearest(b"proxy_set_header"):
        name, value = headers.two(line)
        lower = name.lower()
        written.add(lower)
        if lower == "host":
            if value not in headers.PASSED_HOST:
                raise NotExpressibleError(_OTHER_HOST)
        elif lower in _TOLD:
            if value not in _TOLD[lower]:
                raise NotExpressibleError(f"the service is told another {name} here")
        elif lower in _EMPTY or not value:
            _check_empty(name, value, passes_all=passes_all)
        elif value in _own_values(lower) and lower not in sent:
            sent.append(lower)
        else:
            raise NotExpressibleError(f"the service is told {name} {value}, and not so here")
    if "host" not in written:
        raise NotExpressibleError(_OTHER_HOST)
    if "content-length" not in written:
        raise NotExpressibleError(
            "the service is told the length of a body that it does not get; `proxy_set_header "
            'Content-Length ""` says that there is none'
        )
    if not passes_all:
        return sorted(sent, key=str)
    _check_told(written)
    return "all"


def _check_empty(name: str, value: str, *, passes_all: bool) -> None:
    """Raises `NotExpressibleError` for a header that the service gets, or does not get, only
    there.
    """
    lower = name.lower()
    if value:
        raise NotExpressibleError(f"the header {name} belongs to the connection")
    if passes_all and lower not in _NEVER and not is_client_claim(lower):
        raise NotExpressibleError(f"every header of the client goes to the service but {name}")


def _check_told(written: set[str]) -> None:
    """Raises `NotExpressibleError` where what a client says of itself goes to a service that here
    is told the truth, or nothing: it may decide by that.
    """
    for name in (*_TOLD, *_ADDRESSES):
        if name not in written and name not in _NUMBERS:
            value = _TOLD[name][0] if name in _TOLD else '""'
            raise NotExpressibleError(
                f"the service gets every header of the client there, {name} among them; an import "
                f"takes it with `proxy_set_header {name} {value}`"
            )


def _own_values(name: str) -> tuple[str, ...]:
    """Returns the values that pass the client's header of that name on."""
    variable = f"http_{name.replace('-', '_')}"
    return () if "_" in name else (f"${variable}", f"${{{variable}}}")


def said_to(around: Around, asked: Sequence[Asked]) -> dict[str, str]:
    """Returns the header of the service's answer for each variable (`$user`) that has one, empty
    where no service is asked.
    """
    lines = around.nearest(b"auth_request_set")
    told = [found for _, line in lines if (found := _set(line))]
    return {variable: name if _is_among(asked) else "" for variable, name in told}


def _set(line: Directive) -> tuple[str, str] | None:
    words = [values.text(value) for value in line.values]
    told = _ANSWERED.fullmatch(words[1]) if len(words) == _SET_WORDS else None
    return (words[0], (told[1] or told[2]).replace("_", "-")) if told else None


def _copied(around: Around) -> list[Toml]:
    """Returns the headers of the answer that the endpoint gets, under their own names."""
    said = dict(found for _, one in around.nearest(b"auth_request_set") if (found := _set(one)))
    lines = [headers.two(line) for _, line in around.nearest(b"proxy_set_header")]
    names = [name.lower() for name, value in lines if said.get(value) == name.lower()]
    for name in names:
        if name in headers.IMPLIED or name in _EMPTY or name == "host":
            raise NotExpressibleError(f"the header {name} is not the service's to say here")
    return sorted(names, key=str)


def judged(rest: dict[str, Toml], asked: Sequence[Asked]) -> dict[str, Toml]:
    """Returns the rest of a route: its endpoint gets the path that a service judged, if one did."""
    return {**rest, "forward_path": "normalised"} if _is_among(asked) else rest


def _is_among(asked: Sequence[Asked]) -> bool:
    return any(KIND in one.table for one in asked)


def notes_of(asked: Sequence[Asked], rest: Table) -> tuple[str, ...]:
    """Returns what differs for a route whose `rest` is what nginx does without a service."""
    if not _is_among(asked):
        return ()
    names = ", ".join(_TOLD)
    notes: tuple[str, ...] = (
        f"`auth_request`: the service is always told {names} here, of the normalised path; other "
        "answers than 401 and 403 go to the client, and 503 where there is none",
    )
    if any(table_in(one.table, KIND)["headers"] == "all" for one in asked if KIND in one.table):
        notes += (
            "`auth_request`: of all headers of a client those that tell who it is do not go along "
            "to the service",
        )
    if rest["forward_path"] == "raw":
        return (*notes, "`auth_request`: the endpoint gets the path that was judged, normalised")
    return notes


def upstreams_of(middlewares: Iterable[Table]) -> list[str]:
    """Returns the upstreams of services."""
    return [str(table_in(one, KIND)["upstream"]) for one in middlewares if KIND in one]


def is_asked(route: Table, named: Mapping[str, Table]) -> bool:
    """Reports whether a route asks a service, by one of the named middlewares."""
    return bool(_of(route, named))


def _of(route: Table, named: Mapping[str, Table]) -> Table:
    for name in items_in(route, "middlewares"):
        table = named.get(name, {}) if isinstance(name, str) else {}
        if KIND in table:
            return table_in(table, KIND)
    return {}


def to_nginx(
    route: Table, named: Mapping[str, Table], kept: Iterable[Directive]
) -> list[Directive]:
    """Returns the lines that give the endpoint what the service said; the others are kept."""
    copied = items_in(_of(route, named), "copy")
    if not copied:
        return []
    variables: dict[str, str] = {}
    for line in kept:
        if line.name == b"auth_request_set" and (told := _set(line)):
            variables.setdefault(told[1], told[0])
    return [
        directive("proxy_set_header", Literal(str(name)), Var(variables[str(name)][1:]))
        for name in copied
    ]
