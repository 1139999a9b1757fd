"""Renders TCP listeners and their routes as nginx's `stream`.

A listener is one server. It looks the client's network up in a `geo` for the route (`tcp_route.py`:
of those with the name in the ClientHello), and the route in a map for the upstream. A server has
one set of timeouts, so the routes of a listener must agree in them.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from headgate.compile.references import references
from headgate.engines.nginx.capabilities.probe import loads
from headgate.engines.nginx.render import (
    hashes,
    listening,
    names,
    splits,
    tcp_ended,
    tcp_logs,
    tcp_proxied,
    tcp_route,
    tcp_secured,
    udp,
    upstreams,
)
from headgate.engines.nginx.render.context import Context, by_listener
from headgate.engines.nginx.render.prelude import mapped
from headgate.engines.nginx.render.tcp_check import check
from headgate.engines.nginx.render.tcp_route import Routes
from headgate.features.nginx import Shared, quoted, whole
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    FilePath,
    Literal,
    Plain,
    Var,
    Word,
    comment,
    directive,
    dollar,
)
from headgate.plan.objects import Listener, Upstream
from headgate.plan.plan import Plan
from headgate.plan.tcp import TcpRoute

FILE: Final = "stream.conf"

_LISTENER: Final = Var("hg_listener")
_CLIENT: Final = Var("binary_remote_addr")
_COUNTED: Final = ((_LISTENER, "1m"), (_CLIENT, "10m"))
"""The keys by which connections are counted, and the sizes of their zones."""

_PREFIX: Final = "stream_"
_NONE: Final = "hg_none"
"""The group of connections that no route takes."""

_HELLO_SIZE: Final = "16k"
"""The largest ClientHello, as with the native engine."""


def alone(plan: Plan) -> frozenset[str]:
    """Returns the upstreams that routes of TCP and UDP alone use: `http` needs none of them."""
    by_tcp: set[str] = set()
    by_http: set[str] = set()
    for key, entry in plan.objects.items():
        named = by_tcp if key.kind in ("tcp_route", "udp_route") else by_http
        named.update(one.name for one in references(entry) if one.kind == "upstream")
    return frozenset(by_tcp - by_http)


def modules(ctx: Context) -> list[Node]:
    """Returns the first lines of nginx.conf."""
    if not ctx.has_stream:
        return []
    paths = loads(ctx.target.capabilities, ("stream",))
    return [directive("load_module", FilePath(path)) for path in paths]


def block(ctx: Context) -> list[Node]:
    """Returns the block of nginx.conf; none where nobody speaks TCP."""
    if not ctx.has_stream:
        return []
    return [directive("stream", children=[directive("include", Plain(FILE))])]


def files(ctx: Context) -> dict[str, list[Node]]:
    """Returns the files of `stream`; refuses what it cannot do."""
    ctx.tcp_listeners, ctx.udp_listeners = check(ctx), udp.check(ctx)
    if not ctx.has_stream:
        return {}
    inside = _inside(ctx)
    used = tcp_route.upstreams_of({**ctx.tcp_routes, **ctx.udp_routes})
    nodes: list[Node] = [comment("Data with a dollar sign in it"), dollar()]
    of_tcp = _tcp(inside)
    nodes += [*listening.maps(inside), *tcp_ended.told(of_tcp.offers)]
    hello = tcp_logs.Hello(
        is_read=any(_reads(*one) for one in _with_routes(ctx)), is_answered=bool(of_tcp.offers)
    )
    nodes += [*tcp_logs.maps(hello), *tcp_logs.directives(inside, hello)]
    of_udp = _udp(inside)
    upstream = [
        (whole(quoted(name)), splits.of_connections(inside, name, one))
        for name, one in ctx.tcp_routes.items()
    ]
    nodes += [
        *inside.shared.nodes,
        comment("The route by the listener, and its upstream"),
        mapped("hg_route", _LISTENER, Literal(""), *of_tcp.chosen),
        mapped("hg_upstream", Var("hg_route"), Literal(""), *upstream),
        *_zones(inside),
        *of_udp.declared,
    ]
    is_split = any(one.split for one in ctx.tcp_routes.values())
    if is_split or any(_may_have_none(*one) for one in _with_routes(ctx)):
        nodes += _nobody(_NONE)
    for name in sorted(used & ctx.upstreams.keys()):
        with ctx.findings.of("upstream", name).guarded("endpoints"):
            nodes += _upstream(name, ctx.upstreams[name], inside)
    nodes += [*of_tcp.servers, *of_udp.servers]
    held = [node for of_one in of_tcp.pairs.values() for node in of_one]
    sizes = hashes.stream([*nodes, *held])
    included = [directive("include", FilePath(path)) for path in of_tcp.pairs]
    return {FILE: [*sizes, *included, *nodes]}


def _with_routes(ctx: Context) -> Iterator[tuple[Listener, Routes]]:
    routes = by_listener(ctx.tcp_routes)
    for name, listener in ctx.tcp_listeners.items():
        yield listener, routes.get(name, {})


class _Tcp(NamedTuple):
    """The needs of TCP in `stream`; `pairs` are files of certificates with what is in them."""

    servers: list[Node]
    chosen: list[tuple[Arg, Arg]]
    offers: dict[str, Var]
    pairs: dict[str, list[Node]]


def _tcp(ctx: Context) -> _Tcp:
    found = _Tcp([], [], {}, {})
    for name, (listener, routes) in zip(ctx.tcp_listeners, _with_routes(ctx), strict=True):
        owner = f"listener {name}"
        with ctx.shared.owned(owner), ctx.findings.of("listener", name).guarded(""):
            route = _chosen(ctx, listener, routes)
            found.chosen.append((whole(quoted(name)), route))
            ended = tcp_ended.render(ctx, listener)
            if ended is not None:
                found.offers[name] = ended.offer
                found.pairs.update(ended.pairs)
            secured = ended.directives if ended is not None else []
            found.servers.extend(_server(ctx, name, listener, routes, route, secured))
    return found


class _Udp(NamedTuple):
    """The needs of UDP in `stream`."""

    declared: list[Node]
    servers: list[Node]


def _udp(ctx: Context) -> _Udp:
    if not ctx.udp_listeners:
        return _Udp([], [])
    servers: list[Node] = []
    chosen: list[tuple[Arg, Arg]] = []
    known = by_listener(ctx.udp_routes)
    for name, listener in ctx.udp_listeners.items():
        routes = known.get(name, {})
        owned = ctx.shared.owned(f"listener {name}")
        with owned, ctx.findings.of("listener", name).guarded(""):
            route = tcp_route.of_client(routes, ctx.shared)
            chosen.append((whole(quoted(name)), route))
            servers += udp.server(ctx, name, listener, routes, route)
    return _Udp(udp.declarations(ctx, chosen), servers)


def _inside(ctx: Context) -> Context:
    """Returns the same for `stream`: its listeners, its blocks, what it accepts."""
    able = ctx.target.capabilities
    accepted = {one.removeprefix(_PREFIX) for one in able.accepted if one.startswith(_PREFIX)}
    there = msgspec.structs.replace(able, accepted=frozenset(accepted))
    target = replace(ctx.target, capabilities=there, endpoints="reload")
    return replace(
        ctx,
        target=target,
        listeners={**ctx.tcp_listeners, **ctx.udp_listeners},
        shared=Shared(),
        within="stream",
    )


def _reads(listener: Listener, routes: Routes) -> bool:
    """Reports whether nginx reads the ClientHello of connections that it passes on."""
    return not tcp_ended.is_ended(listener) and tcp_route.asks_hello(routes)


def _may_have_none(listener: Listener, routes: Routes) -> bool:
    """Reports whether a map finds out that a connection has no route, or which upstream it has."""
    is_late = tcp_ended.is_ended(listener) or tcp_proxied.is_proxied(listener)
    return is_late or tcp_route.asks_hello(routes)


def _chosen(ctx: Context, listener: Listener, routes: Routes) -> Arg:
    is_ended = tcp_ended.is_ended(listener)
    asked = tcp_ended.NAME if is_ended else tcp_route.PREREAD_NAME
    route = tcp_route.chosen(routes, ctx.shared, name=asked, is_ended=is_ended)
    return tcp_proxied.known(listener, route, ctx.shared)


def _server(
    ctx: Context, name: str, listener: Listener, routes: Routes, route: Arg, secured: list[Node]
) -> Iterator[Node]:
    words = [*tcp_ended.words(listener), *tcp_proxied.words(listener)]
    nodes = listening.addresses(listener, words, with_options=True)
    nodes += [*tcp_proxied.settings(listener), *secured]
    nodes += _limits(ctx, listener)
    nodes += [] if _may_have_none(listener, routes) else tcp_route.admitted(routes)
    if not routes:
        # nginx takes no server without a purpose; nobody gets so far.
        nodes.append(directive("return", Literal("")))
    else:
        nodes += [*_hello(listener, routes), *_passed(ctx, listener, routes, route)]
    yield comment(f"listener {name}")
    yield directive("server", children=nodes)


def _hello(listener: Listener, routes: Routes) -> list[Node]:
    """Returns what makes nginx wait for a ClientHello, where a route asks for one."""
    if not _reads(listener, routes):
        return []
    return [
        directive("ssl_preread", Word("on")),
        directive("preread_timeout", upstreams.time(listener.handshake_timeout_ms)),
        directive("preread_buffer_size", Word(_HELLO_SIZE)),
    ]


def _paced(route: TcpRoute) -> Iterator[Node]:
    limit = route.bandwidth
    if limit is None:
        return
    for name, rate in (("download", limit.download), ("upload", limit.upload)):
        if rate:
            yield directive(f"proxy_{name}_rate", Word(str(rate)))


def _passed(ctx: Context, listener: Listener, routes: Routes, route: Arg) -> list[Node]:
    first, aim = _leading(ctx, routes)
    upstream = ctx.upstreams[aim]
    connect = upstreams.time(upstream.connect_timeout_ms)
    groups = {name: _group(ctx, name, one) for name, one in routes.items()}
    group = next(iter(groups.values()))
    if len(set(groups.values())) > 1 or _may_have_none(listener, routes):
        entries = [(whole(quoted(name)), one) for name, one in groups.items()]
        group = ctx.shared.map("group", route, entries, Word(_NONE))
    return [
        directive("proxy_connect_timeout", connect),
        directive("proxy_next_upstream_timeout", connect),
        directive("proxy_timeout", upstreams.time(first.timeouts.idle_ms)),
        # Half an end would reach a client with TLS without a close_notify.
        directive("proxy_half_close", Word("off" if tcp_ended.is_ended(listener) else "on")),
        *_paced(first),
        *tcp_proxied.told(upstream),
        *tcp_secured.towards(upstream, aim, ctx),
        directive("proxy_pass", group),
    ]


def _leading(ctx: Context, routes: Routes) -> tuple[TcpRoute, str]:
    """Returns the first route and upstream of it that take anything: all that do agree in what
    the server says.
    """
    every = [(one, part.upstream) for one in routes.values() for part in one.parts]
    return next((one for one in every if upstreams.takes(ctx.upstreams[one[1]])), every[0])


def _group(ctx: Context, name: str, route: TcpRoute) -> Arg:
    """Returns the group of endpoints that a connection of a route goes to."""
    upstream = splits.of_connections(ctx, name, route)
    if isinstance(upstream, Literal):
        return Word(names.upstream(upstream.text))
    entries = [
        (whole(quoted(part.upstream)), Word(names.upstream(part.upstream)))
        for part in route.parts
        if part.weight
    ]
    return ctx.shared.map("group", upstream, entries, Word(_NONE))


def _upstream(name: str, upstream: Upstream, ctx: Context) -> list[Node]:
    found = upstreams.block(name, upstream, ctx)
    if found:
        return found
    return [comment(f"upstream {name}"), *_nobody(names.upstream(name))]


def _nobody(group: str) -> list[Node]:
    """Returns an upstream that ends connections: nginx needs a server in it, and tries none."""
    nobody = directive("server", Plain("0.0.0.1:1"), Word("down"))
    return [directive("upstream", Word(group), children=[nobody])]


def _zones(ctx: Context) -> list[Node]:
    """Returns the zones of connections that a limit of the plan needs."""
    limited = any(one.max_connections for one in ctx.listeners.values())
    is_asked = {_LISTENER: limited, _CLIENT: bool(ctx.settings.max_connections_per_client)}
    found: list[Node] = []
    for key, size in _COUNTED:
        if is_asked[key]:
            zone = _zone(key, size)
            ctx.zones[zone] = f"limit_conn ${key.name} {size}"
            found.append(directive("limit_conn_zone", key, Word(f"zone={zone}:{size}")))
    return found


def _zone(key: Var, size: str) -> str:
    return names.zone("tcp_conn", f"${key.name}", size)


def _limits(ctx: Context, listener: Listener) -> list[Node]:
    most = {_LISTENER: listener.max_connections, _CLIENT: ctx.settings.max_connections_per_client}
    return [
        directive("limit_conn", Word(_zone(key, size)), Word(str(most[key])))
        for key, size in _COUNTED
        if most[key]
    ]
