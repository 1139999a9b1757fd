"""Renders the PROXY protocol of listeners.

nginx reads the header of every peer once a `listen` line says `proxy_protocol`, and believes that
of the networks of `set_real_ip_from`. It cannot close connections of other peers before TLS, so
their requests get no answer.
"""

from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.prelude import mapped
from headgate.features.nginx import About, quoted, whole
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Arg, Var, Word, comment, directive, if_
from headgate.plan.objects import Listener, ProxyProtocol

_CONNECTED = Var("realip_remote_addr")
"""The peer that opened the connection."""

_PEER = Var("hg_peer")
_DEFAULTS = ProxyProtocol(())


def peer(ctx: Context) -> Var:
    """Returns the variable of the peer's address, which a PROXY header tells where there is one."""
    return _PEER if _names(ctx) else _CONNECTED


def maps(ctx: Context) -> list[Node]:
    """Returns the map to the peer's address; none where no listener has PROXY headers."""
    entries: list[tuple[Arg, Arg]] = [
        (whole(quoted(name)), Var("remote_addr")) for name in _names(ctx)
    ]
    if not entries:
        return []
    listener = Var("hg_listener")
    return [comment("The peer"), mapped(_PEER.name, listener, _CONNECTED, *entries)]


def settings(ctx: Context, listener: Listener) -> list[Node]:
    """Returns whose headers a server believes; it closes the connections of all others."""
    proxy = listener.client_ip.proxy_protocol
    if proxy is None:
        return []
    known = ctx.shared.geo("proxy", _CONNECTED, proxy.trusted)
    closed = directive("return", Word("444"))
    return [
        *(directive("set_real_ip_from", Word(network)) for network in proxy.trusted),
        directive("real_ip_header", Word("proxy_protocol")),
        if_(known, "=", Word("0"), children=[closed]),
    ]


def check(ctx: Context, listener: Listener, about: About) -> None:
    """Refuses what nginx cannot say of PROXY headers."""
    proxy = listener.client_ip.proxy_protocol
    if proxy is None:
        return
    if proxy.mode != "required":
        about.refuse("proxy_protocol.mode", "nginx takes no connection without a header then")
    if proxy.timeout_ms not in (_DEFAULTS.timeout_ms, listener.head_timeout_ms):
        about.refuse("proxy_protocol.timeout", "nginx has one time for this header and the head")
    if listener.client_ip.trusted:
        about.refuse(
            "client_ip.trusted", "nginx takes the client from a PROXY header or from a request's"
        )
    if ctx.target.mode == "guest":
        about.refuse("proxy_protocol", "nginx would expect headers for every server of the address")


def _names(ctx: Context) -> list[str]:
    return [name for name, one in ctx.listeners.items() if one.client_ip.proxy_protocol is not None]
