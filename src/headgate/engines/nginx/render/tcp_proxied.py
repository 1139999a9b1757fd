"""Renders the PROXY protocol of TCP listeners, and of upstreams whose endpoints are told.

nginx reads the header of every peer once a `listen` line says `proxy_protocol`, and believes that
of the networks of `set_real_ip_from`. The connections of other peers get no route.
"""

from collections.abc import Mapping
from typing import Final

from headgate.engines.nginx.render import tcp_route, upstreams
from headgate.engines.nginx.render.context import Context
from headgate.features.nginx import About, Shared
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Arg, Literal, MapKey, Var, Word, directive
from headgate.plan.objects import Listener, Upstream
from headgate.plan.tcp import TcpRoute

_CONNECTED: Final = Var("realip_remote_addr")
"""The peer that opened the connection."""

_IN: Final = ("stream_listen_proxy_protocol", "stream_realip")
_OUT: Final = "stream_proxy_protocol"


def is_proxied(listener: Listener) -> bool:
    """Reports whether connections of a listener begin with a header."""
    return listener.client_ip.proxy_protocol is not None


def words(listener: Listener) -> list[Word]:
    """Returns the options of its `listen` lines."""
    return [Word("proxy_protocol")] if is_proxied(listener) else []


def settings(listener: Listener) -> list[Node]:
    """Returns whose headers its server believes, and how long it waits for one."""
    proxy = listener.client_ip.proxy_protocol
    if proxy is None:
        return []
    return [
        *(directive("set_real_ip_from", Word(network)) for network in proxy.trusted),
        directive("proxy_protocol_timeout", upstreams.time(proxy.timeout_ms)),
    ]


def known(listener: Listener, route: Arg, shared: Shared) -> Arg:
    """Returns the route of a connection: none for that of a peer whose header does not count."""
    proxy = listener.client_ip.proxy_protocol
    if proxy is None:
        return route
    trusted = shared.geo("proxy", _CONNECTED, proxy.trusted)
    return shared.map("proxied", trusted, [(MapKey("0"), Literal(""))], route)


def told(upstream: Upstream) -> list[Node]:
    """Returns what has nginx tell the endpoints."""
    return [directive("proxy_protocol", Word("on"))] if upstream.pool.proxy_protocol else []


def check_listener(ctx: Context, listener: Listener, about: About) -> None:
    """Refuses what nginx cannot say of the headers of a listener."""
    proxy = listener.client_ip.proxy_protocol
    if proxy is None:
        return
    if not all(ctx.has(snippet) for snippet in _IN):
        about.refuse("proxy_protocol", "`stream` of this nginx has no realip")
    elif proxy.mode != "required":
        about.refuse("proxy_protocol.mode", "nginx takes no connection without a header then")


def check_upstreams(ctx: Context, routes: Mapping[str, TcpRoute]) -> None:
    """Refuses what nginx cannot tell the endpoints of TCP routes."""
    for name in sorted(tcp_route.upstreams_of(routes) & ctx.upstreams.keys()):
        version = ctx.upstreams[name].pool.proxy_protocol
        about = ctx.findings.of("upstream", name)
        if version == "v2":
            about.refuse("proxy_protocol", 'nginx writes version 1 alone; write "v1"')
        elif version is not None and not ctx.has(_OUT):
            about.refuse("proxy_protocol", "`stream` of this nginx has no proxy_protocol")
