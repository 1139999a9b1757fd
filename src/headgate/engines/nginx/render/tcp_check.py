"""Refuses what nginx's `stream` cannot do for TCP listeners and their routes, by its place."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from headgate.engines.nginx.render import lacking, tcp_ended, tcp_proxied, tcp_secured, upstreams
from headgate.engines.nginx.render.context import Context, by_listener
from headgate.engines.nginx.render.listening import is_written
from headgate.features.nginx import About
from headgate.plan.objects import Listener, Upstream
from headgate.plan.tcp import TcpBandwidth, TcpRoute, TcpTimeouts

_NEEDED: Final = {
    "stream_map": "map",
    "stream_geo": "geo",
    "stream_log": "log_format",
    "stream_access": "allow",
    "stream_limit_conn": "limit_conn",
    "stream_return": "return",
    "stream_half_close": "proxy_half_close",
}
"""The directives of `stream` that every rendering may need, by their names in a probe."""

_RENDERED: Final = (
    "listeners",
    "client",
    "sni",
    "alpn",
    "tls",
    "upstream",
    "split",
    "sticky",
    "timeouts",
    "bandwidth",
)
_OURS: Final = TcpTimeouts()


def check(ctx: Context) -> Mapping[str, Listener]:
    """Returns the TCP listeners that can be rendered; refuses and notes the rest."""
    found = {}
    why = lacking.of_stream(ctx, "TCP", _NEEDED) if ctx.tcp_listeners else ""
    for name, listener in ctx.tcp_listeners.items():
        about = ctx.findings.of("listener", name)
        if why:
            about.refuse("protocol", why)
        elif is_written(ctx, "listener", name):
            _listener(listener, about)
            tcp_ended.check(ctx, name, listener, about)
            tcp_proxied.check_listener(ctx, listener, about)
            found[name] = listener
    ctx.tcp_routes = {
        name: one for name, one in ctx.tcp_routes.items() if is_written(ctx, "tcp_route", name)
    }
    for name, route in ctx.tcp_routes.items() if found else ():
        about = ctx.findings.of("tcp_route", name)
        _route(route, about)
        _hello(ctx, route, about)
        if route.tls == "passthrough" and any(found[n].tls for n in route.listeners if n in found):
            about.refuse("tls", "nginx ends the TLS of all connections of a listener, or of none")
        if len(route.parts) > 1 and not ctx.has("stream_split_clients"):
            about.refuse("split", "`stream` of this nginx has no split_clients")
        for key, upstream in _known(ctx, route):
            tcp_secured.check_upstream(ctx, upstream, about.at(key))
    tcp_proxied.check_upstreams(ctx, ctx.tcp_routes if found else {})
    routes = by_listener(ctx.tcp_routes)
    for name in found:
        _alike(ctx, name, routes.get(name, {}))
    return found


def _listener(listener: Listener, about: About) -> None:
    about.note(
        "protocol",
        "after a reload old workers keep their connections for `node.nginx.shutdown_timeout`, then "
        "cut them",
    )


def _route(route: TcpRoute, about: About) -> None:
    for field in msgspec.structs.fields(route):
        if field.name not in _RENDERED and getattr(route, field.name) != field.default:
            about.refuse(field.name, "this engine chooses TCP routes by network and name")
    timeouts = route.timeouts
    if timeouts.lifetime_ms:
        about.refuse("timeouts.lifetime", "nginx has no limit for a whole connection")
    if timeouts.half_open_ms not in (_OURS.half_open_ms, timeouts.idle_ms):
        about.refuse("timeouts.half_open", "nginx has one time for this and `idle`")
    if route.bandwidth is not None:
        _limit(route.bandwidth, about)


def _hello(ctx: Context, route: TcpRoute, about: About) -> None:
    """Refuses what nginx cannot read of a ClientHello that it passes on."""
    known = [ctx.tcp_listeners[name] for name in route.listeners if name in ctx.tcp_listeners]
    if all(map(tcp_ended.is_ended, known)):
        return
    if route.sni and not ctx.has("stream_ssl_preread"):
        about.refuse("sni", "`stream` of this nginx has no ssl_preread")
    if route.alpn:
        about.refuse("alpn", "a map of nginx does not know what a client prefers of what it offers")


def _limit(limit: TcpBandwidth, about: About) -> None:
    if limit.key != "connection":
        about.refuse("bandwidth.key", "nginx limits each connection for itself")
    ways = ((limit.download, limit.download_burst), (limit.upload, limit.upload_burst))
    if any(burst != rate for rate, burst in ways):
        about.refuse("bandwidth.burst", "nginx lets the bytes of a second pass at once")


def _alike(ctx: Context, listener: str, routes: Mapping[str, TcpRoute]) -> None:
    """Refuses routes of a listener that differ in what its one server says."""
    first: tuple[str, TcpRoute, Upstream] | None = None
    for name, route in routes.items():
        for key, upstream in _known(ctx, route):
            if not upstreams.takes(upstream):
                continue
            if first is None:
                first = name, route, upstream
                continue
            known, other, others = first
            about = ctx.findings.of("tcp_route", name)
            shared = f"nginx has one for all routes of listener {listener}, and {known} has another"
            if route.timeouts.idle_ms != other.timeouts.idle_ms:
                about.refuse("timeouts.idle", shared)
            if route.bandwidth != other.bandwidth:
                about.refuse("bandwidth", shared)
            if upstream.connect_timeout_ms != others.connect_timeout_ms:
                about.refuse(key, f"its `timeouts.connect`: {shared}")
            if upstream.pool.proxy_protocol != others.pool.proxy_protocol:
                about.refuse(key, f"its `proxy_protocol`: {shared}")
            tcp_secured.check_alike(upstream, others, about.at(key), shared)


def _known(ctx: Context, route: TcpRoute) -> Iterator[tuple[str, Upstream]]:
    """Yields the upstreams of a route, and the keys that name them."""
    for index, part in enumerate(route.parts):
        upstream = ctx.upstreams.get(part.upstream)
        if upstream is not None:
            yield ("upstream" if route.upstream else f"split[{index}].upstream"), upstream
