"""Converts `proxy_pass` and its settings to a route to an upstream, and back."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import (
    buffering,
    expiring,
    headers,
    retries,
    secured,
    splits,
    upstreams,
    values,
)
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.matching import Wanted
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    Toml,
    table_in,
    validated,
)
from headgate.engines.nginx.imports.splits import Split
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Plain, Word, directive

_HTTP: Final = "http://"
_HTTPS: Final = "https://"
_NO_TLS: Final[Table] = {}
_READ_TIMEOUT: Final = b"60s"
_BODY_SIZE: Final = b"1m"


class Pools:
    """The upstreams that routes may name, and those that addresses in `proxy_pass` make.

    A pool has the connect timeout of its first route. `splits` are what `proxy_pass` may follow, by
    their variables.
    """

    def __init__(
        self,
        explicit: Mapping[str, Table],
        verbatim: frozenset[str],
        splits: Mapping[bytes, Split] = MappingProxyType({}),
    ) -> None:
        self.explicit = dict(explicit)
        self.implicit: dict[str, Table] = {}
        self.splits = splits
        self._verbatim = verbatim
        self._timed: set[str] = set()

    def tables_of(self, targets: Iterable[str]) -> list[Table]:
        """Returns the upstreams of these names, to which something leads."""
        return [(self.explicit.get(one) or self.implicit[one]) for one in targets]

    def is_known(self, name: str) -> bool:
        """Reports whether an `upstream` block has this name."""
        return name in self.explicit or name in self._verbatim

    def lead_to(self, target: str, connect: str, tls: Table = _NO_TLS) -> str:
        """Returns the upstream that `proxy_pass` means; raises `NotExpressibleError`."""
        if target in self._verbatim:
            raise NotExpressibleError(f"the upstream {target} is kept verbatim")
        tables = self.explicit if target in self.explicit else self.implicit
        table = tables.get(target) or upstreams.table_of_address(target)
        if target in self._timed and table_in(table, "timeouts")["connect"] != connect:
            raise NotExpressibleError(f"another route connects to {target} with another timeout")
        if target in self._timed and table_in(table, "tls") != tls:
            raise NotExpressibleError(f"another route connects to {target} with other TLS")
        timed = {**table, "timeouts": {"connect": connect}}
        if tls:
            timed["tls"] = tls
        tables[target] = validated(ModelObject("upstreams", target, timed)).table
        self._timed.add(target)
        return target


class Target(NamedTuple):
    """The target of a `proxy_pass`: an upstream, the host as nginx sends it, and the URI, empty
    where there is none; or the split that it follows. `tls` is empty for `http`.
    """

    name: str
    host: str
    uri: str
    split: Split | None = None
    tls: Table = _NO_TLS


class Proxied(NamedTuple):
    """The parts of a route to an upstream beside hosts and matches."""

    middlewares: list[Toml]
    rest: dict[str, Toml]


def proxied(
    line: Directive, around: Around, location: Wanted, pools: Pools, said: Mapping[str, str]
) -> Proxied:
    """Returns the route of a `proxy_pass`; `said` as for `headers.forwarded`.

    Raises `NotExpressibleError`.
    """
    target = target_of(line, around, pools)
    rewrite = _rewrite(target.uri, location)
    seen = headers.forwarded(around, target.host, said)
    if target.split is not None and seen.host == "":
        raise NotExpressibleError(splits.OWN_NAME)
    added, hidden = headers.added(around, None), headers.hidden(around)
    if seen.host is not None:
        rewrite["host"] = seen.host
    read, connect = timeouts_of(around)
    _check_redirects(around)
    limit = values.size(around.value(b"client_max_body_size", _BODY_SIZE))
    edits: dict[str, Toml] = {"set": seen.set, "remove": seen.remove}
    middlewares: list[Toml] = [
        {key: table}
        for key, table in (
            ("rewrite", rewrite),
            ("request_headers", {k: v for k, v in edits.items() if v}),
        )
        if table
    ]
    middlewares += headers.answered(added, hidden, expiring.expires_of(around))
    action = _action(target, pools, connect)
    rest: dict[str, Toml] = {
        **action,
        "timeouts": {"first_byte": read, "stream_idle": read},
        "limits": {"body": limit, **buffering.collected(around), **buffering.answers(around)},
        "forward_path": "normalised" if target.uri else "raw",
        "websocket": seen.websocket,
        **retries.retry_of(around, pools.tables_of(splits.upstreams_of(action))),
    }
    return Proxied(middlewares, rest)


def target_of(line: Directive, around: Around, pools: Pools) -> Target:
    """Returns where a `proxy_pass` leads; raises `NotExpressibleError`."""
    if len(line.args) != 1:
        raise NotExpressibleError("`proxy_pass` does not have one argument")
    written = line.values[0]
    if values.has_variables(written):
        written = values.folded(written, around.constants())
    split = splits.branches_of(written, pools.splits)
    if split is None and values.has_variables(written):
        raise NotExpressibleError("`proxy_pass` with variables has no counterpart")
    url = values.text(written)
    is_secure = url.startswith(_HTTPS) and split is None
    place = url.removeprefix(_HTTPS if is_secure else _HTTP)
    if place == url or place.startswith("unix:"):
        raise NotExpressibleError("`proxy_pass` to anything but HTTP at a host has no counterpart")
    host, slash, rest = place.partition("/")
    if slash and values.has_variables(line.values[0]):
        raise NotExpressibleError("`proxy_pass` with variables and a path has no counterpart")
    uri = f"{slash}{rest}"
    if split is not None:
        return Target("", "", uri, split)
    if not is_secure:
        return Target(host, host, uri)
    name = secured.target_of(host, is_known=pools.is_known(host))
    return Target(name, host, uri, tls=secured.tls_of(around, host))


def _action(target: Target, pools: Pools, connect: str) -> dict[str, Toml]:
    split = target.split
    if split is None:
        return {"upstream": pools.lead_to(target.name, connect, target.tls)}
    targets = [values.text(value) for value, _ in split.parts]
    for one in targets:
        splits.check_target(one, pools.explicit)
    return splits.action_of([pools.lead_to(one, connect) for one in targets], split)


def _rewrite(uri: str, location: Wanted) -> dict[str, Toml]:
    if not uri or uri == location.path == "/":
        return {}
    if "?" in uri or "$" in uri:
        raise NotExpressibleError("the URI of `proxy_pass` has a query or a dollar sign")
    if location.is_exact:
        return {"path": uri}
    if not (uri.endswith("/") and location.path.endswith("/")):
        raise NotExpressibleError("the URI of `proxy_pass` does not end as the location does")
    return {"prefix": uri.rstrip("/") or "/"}


def timeouts_of(around: Around) -> tuple[str, str]:
    """Returns the time between two reads, and that to connect."""
    read = values.duration(around.value(b"proxy_read_timeout", _READ_TIMEOUT))
    connect = values.duration(around.value(b"proxy_connect_timeout", b"60s"))
    return read, connect


def _check_redirects(around: Around) -> None:
    if around.value(b"proxy_redirect", b"default") not in (b"default", b"off"):
        raise NotExpressibleError("`proxy_redirect` has no counterpart")


def to_nginx(route: Table, pool: Table, name: str, upgrade: str) -> list[Directive]:
    """Returns the lines of a location that a route to an upstream stands for; the inverse.

    `pool` is its upstream, or one of them; `name` what `proxy_pass` calls it.
    """
    rewrite = headers.middleware(route, "rewrite")
    timeouts = table_in(route, "timeouts")
    idle = values.nginx_time(str(timeouts["stream_idle"]))
    host = rewrite.get("host")
    times: tuple[tuple[str, str], ...] = (
        ("proxy_connect_timeout", values.nginx_time(str(table_in(pool, "timeouts")["connect"]))),
        ("proxy_read_timeout", idle),
        ("proxy_send_timeout", idle),
        ("client_max_body_size", values.nginx_size(str(table_in(route, "limits")["body"]))),
    )
    tls = table_in(pool, "tls")
    target = Plain(f"{_HTTPS if tls else _HTTP}{name}{_uri(route, rewrite)}")
    return [
        directive("proxy_pass", target),
        *secured.to_nginx(tls),
        *headers.to_nginx(route, None if host is None else str(host), upgrade),
        *(directive(key, Word(value)) for key, value in times),
        *buffering.to_nginx(route),
        *retries.to_nginx(route),
        *headers.added_lines(route),
    ]


def _uri(route: Table, rewrite: Table) -> str:
    if "path" in rewrite:
        return str(rewrite["path"])
    if "prefix" in rewrite:
        return str(rewrite["prefix"]).rstrip("/") + "/"
    return "/" if route["forward_path"] == "normalised" else ""
