"""Renders UDP listeners and their routes as servers of nginx's `stream`; refuses what it cannot.

Each worker has a socket of its own (`reuseport`): without, any of them would read a client's next
datagram, and know nothing of its flow. With it another process of the same user could have the
address too, without a word; PREFLIGHT looks for one.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from headgate.engines.nginx.render import lacking, names, tcp_route, upstreams
from headgate.engines.nginx.render.chosen import Field, chosen_format, log_format, text_of
from headgate.engines.nginx.render.context import Context, by_listener
from headgate.engines.nginx.render.listening import is_written
from headgate.engines.nginx.render.logs import log_to, to_sink
from headgate.engines.nginx.render.prelude import mapped
from headgate.features.nginx import About, quoted, whole
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    FilePath,
    Literal,
    Regex,
    Template,
    Var,
    Word,
    comment,
    directive,
)
from headgate.plan.objects import Listener
from headgate.plan.udp import UdpRoute

Routes = Mapping[str, UdpRoute]

MARK: Final = "udp:"
"""The prefix of the address of a UDP listener among the listeners of a release."""

_NEEDED: Final = {
    "stream_udp": "listen … udp",
    "stream_map": "map",
    "stream_geo": "geo",
    "stream_log": "log_format",
    "stream_access": "allow",
    "stream_limit_conn": "limit_conn",
    "stream_return": "return",
}
_LISTENER: Final = Var("hg_listener")
_MOST_FLOWS: Final = 65_535
_DATAGRAM: Final = "64k"
"""Room for the largest answer: nginx cuts what does not fit."""
_METRICS_FORMAT: Final = "hg_udp_metrics"
_FORMAT: Final = "hg_udp"

_METRICS: Final = (
    ("time", "time_iso8601"),
    ("udp", "hg_udp_reason"),
    ("client_ip", "remote_addr"),
    ("listener", "hg_listener"),
    ("route", "hg_udp_route"),
    ("upstream", "hg_udp_upstream"),
    ("endpoint", "upstream_addr"),
    ("status", "status"),
    ("bytes_in", "bytes_received"),
    ("bytes_out", "bytes_sent"),
    ("connect_s", "upstream_connect_time"),
    ("total_s", "session_time"),
)
_JSON: Final = (
    *('{"time":"', Var("time_iso8601"), '","client_ip":"', Var("remote_addr")),
    *('","client_port":', Var("remote_port"), ',"listener":"', Var("hg_listener")),
    *('","route":"', Var("hg_udp_route"), '","upstream":"', Var("hg_udp_upstream")),
    *('","endpoint":"', Var("hg_endpoint"), '","protocol":"udp","bytes_in":'),
    *(Var("bytes_received"), ',"bytes_out":', Var("bytes_sent"), ',"total_us":'),
    *(Var("hg_log_total_us"), ',"reason":"', Var("hg_udp_reason"), '"}'),
)
_FIELDS: Final = {
    "time": Field(Var("time_iso8601")),
    "client_ip": Field(Var("remote_addr")),
    "client_port": Field(Var("remote_port"), is_number=True),
    "listener": Field(Var("hg_listener")),
    "route": Field(Var("hg_udp_route")),
    "upstream": Field(Var("hg_udp_upstream")),
    "endpoint": Field(Var("hg_endpoint")),
    "protocol": Field("udp"),
    "bytes_in": Field(Var("bytes_received"), is_number=True),
    "bytes_out": Field(Var("bytes_sent"), is_number=True),
    "total_us": Field(Var("hg_log_total_us"), is_number=True),
    "reason": Field(Var("hg_udp_reason")),
}
_COMMON: Final = (
    *(Var("remote_addr"), " - - [", Var("time_local"), '] "UDP ', Var("hg_udp_route"), " "),
    *(Var("hg_endpoint"), '" - ', Var("bytes_sent")),
)
_COMBINED: Final = (*_COMMON, ' "-" "-" ', Var("session_time"), " ", Var("hg_udp_reason"))


def check(ctx: Context) -> Mapping[str, Listener]:
    """Returns the UDP listeners that can be rendered; refuses and notes the rest."""
    found = {}
    why = lacking.of_stream(ctx, "UDP", _NEEDED) if ctx.udp_listeners else ""
    for name, listener in ctx.udp_listeners.items():
        about = ctx.findings.of("listener", name)
        if why:
            about.refuse("protocol", why)
        elif is_written(ctx, "listener", name):
            _listener(listener, about)
            found[name] = listener
    ctx.udp_routes = {
        name: one for name, one in ctx.udp_routes.items() if is_written(ctx, "udp_route", name)
    }
    for name, route in ctx.udp_routes.items():
        about = ctx.findings.of("udp_route", name)
        if route.sni:
            about.refuse("sni", "nginx reads no QUIC: `stream` passes datagrams unread")
        if route.bandwidth is not None:
            about.refuse("bandwidth", "nginx holds datagrams back and drops none by a rate")
    routes = by_listener(ctx.udp_routes)
    for name in found:
        _alike(ctx, name, routes.get(name, {}))
    for name in sorted({one.upstream for one in ctx.udp_routes.values()} if found else ()):
        _judged(ctx, name)
    return found


def _listener(listener: Listener, about: About) -> None:
    if listener.client_ip.proxy_protocol is not None:
        about.refuse("proxy_protocol", "nginx reads no header in front of datagrams")
    if listener.flows > _MOST_FLOWS:
        about.refuse("limits.flows", f"nginx counts {_MOST_FLOWS} flows at most")
    about.note("limits.flows", "nginx ends no quiet flow to make room: newcomers are dropped")
    about.note("protocol", "a reload ends flows: answers under way then are lost")


def _judged(ctx: Context, name: str) -> None:
    """Refuses what nginx does not do for endpoints of flows: it tells them nothing of clients, and
    cannot judge them, since an answer that does not come says nothing of them.
    """
    upstream = ctx.upstreams.get(name)
    if upstream is None:
        return
    health = {
        "outlier_detection": upstream.health.outliers,
        "circuit_breaker": upstream.health.breaker,
    }
    about = ctx.findings.of("upstream", name)
    if upstream.pool.proxy_protocol is not None:
        about.refuse(
            "proxy_protocol",
            "nginx tells endpoints in front of the first datagram alone, and as if it were TCP",
        )
    for key in [key for key, one in health.items() if one is not None]:
        about.refuse(
            key, "nginx does not tell a flow that met a closed port from one without answer"
        )


def _alike(ctx: Context, listener: str, routes: Routes) -> None:
    """Refuses routes of a listener that differ in what its one server says."""
    first: tuple[str, UdpRoute] | None = None
    for name, route in routes.items():
        upstream = ctx.upstreams.get(route.upstream)
        if upstream is None or not upstreams.takes(upstream):
            continue
        if first is None:
            first = name, route
            continue
        known, other = first
        about = ctx.findings.of("udp_route", name)
        shared = f"nginx has one for all routes of listener {listener}, and {known} has another"
        for key, of in (("timeouts.idle", "idle_ms"), ("answers", "answers")):
            if getattr(route, of) != getattr(other, of):
                about.refuse(key, shared)
        if route.balance_by != other.balance_by:
            about.refuse("balance_by", shared)


def declarations(ctx: Context, chosen: list[tuple[Arg, Arg]]) -> list[Node]:
    """Returns what `stream` must hold for the servers: maps, the zone of flows, log formats.

    `chosen`: the listener's name and the variable of the route.
    """
    leads = [(whole(quoted(name)), Literal(one.upstream)) for name, one in ctx.udp_routes.items()]
    zone = _zone(ctx)
    return [
        comment("The UDP route by the listener, its upstream, and why a flow ended"),
        mapped("hg_udp_route", _LISTENER, Literal(""), *chosen),
        mapped("hg_udp_upstream", Var("hg_udp_route"), Literal(""), *leads),
        mapped(
            "hg_udp_reason",
            Template((Var("status"), " ", Var("upstream_addr"))),
            Word("error"),
            (Regex("~^200 "), Word("ended")),
            (Regex("~^403 "), Word("no-route")),
            (Regex(r"~\A502 (?:.*, )?hg_up_[^ ,]*\z"), Word("no-endpoint")),
            (Regex("~^502 "), Word("unanswered")),
            (Regex("~^503 "), Word("flows-full")),
        ),
        directive("limit_conn_zone", _LISTENER, Word(f"zone={zone}:1m")),
        *_formats(ctx),
    ]


def _zone(ctx: Context) -> str:
    zone = names.zone("udp_flow", f"${_LISTENER.name}", "1m")
    ctx.zones[zone] = f"limit_conn ${_LISTENER.name} 1m"
    return zone


def _formats(ctx: Context) -> list[Node]:
    parts: list[str | Var] = []
    lead = "{"
    for key, variable in _METRICS:
        parts += [f'{lead}"{key}":"', Var(variable), '"']
        lead = ","
    found = [log_format(_METRICS_FORMAT, Template((*parts, "}")), "json")]
    log = ctx.settings.access_log
    if log is None:
        return found
    chosen = chosen_format(ctx, _FORMAT, log, _FIELDS)
    if chosen is None:
        if log.format == "json":
            return [*found, log_format(_FORMAT, Template(_JSON), "json")]
        text = text_of(ctx, _COMMON if log.format == "common" else _COMBINED)
        chosen = log_format(_FORMAT, text, "default")
    return [*found, chosen]


def server(
    ctx: Context, name: str, listener: Listener, routes: Routes, route: Arg
) -> Iterator[Node]:
    """Yields the server of a listener; `route` is the variable of the route that a flow has."""
    nodes: list[Node] = []
    for address in listener.addresses:
        only = [Word("ipv6only=on")] if address.startswith("[") else []
        options = map(Word, ("udp", "reuseport", "rcvbuf=4m"))
        nodes.append(directive("listen", Word(address), *options, *only))
    nodes.append(log_to(FilePath(ctx.target.access_log), _METRICS_FORMAT))
    if ctx.settings.access_log is not None:
        nodes.append(to_sink(ctx, ctx.settings.access_log, _FORMAT))
    nodes.append(directive("limit_conn", Word(_zone(ctx)), Word(str(listener.flows))))
    nodes += tcp_route.admitted(routes)
    # nginx takes no server without a purpose; this one sends nothing back.
    nodes += _passed(ctx, routes, route) if routes else [directive("return", Literal(""))]
    yield comment(f"listener {name}")
    yield directive("server", children=nodes)


def _passed(ctx: Context, routes: Routes, route: Arg) -> list[Node]:
    used = (one for one in routes.values() if upstreams.takes(ctx.upstreams[one.upstream]))
    first = next(used, next(iter(routes.values())))
    group: Arg = Word(names.upstream(first.upstream))
    if len({one.upstream for one in routes.values()}) > 1:
        entries = [
            (whole(quoted(name)), Word(names.upstream(one.upstream)))
            for name, one in routes.items()
        ]
        group = ctx.shared.map("group", route, entries, Word("hg_none"))
    nodes = [
        directive("proxy_timeout", upstreams.time(first.idle_ms)),
        directive("proxy_buffer_size", Word(_DATAGRAM)),
    ]
    if first.answers is not None:
        nodes.append(directive("proxy_responses", Word(str(first.answers))))
    if first.balance_by == "datagram":
        nodes.append(directive("proxy_requests", Word("1")))
    return [*nodes, directive("proxy_pass", group)]
