"""Renders TLS towards the endpoints of TCP routes."""

from headgate.engines.nginx.render import upstreams
from headgate.engines.nginx.render.context import Context
from headgate.features.nginx import About
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Word, directive
from headgate.plan.objects import Upstream

_NEEDED = "stream_proxy_ssl"


def towards(upstream: Upstream, name: str, ctx: Context) -> list[Node]:
    """Returns the directives of a server whose routes lead to this upstream."""
    if upstream.tls is None:
        return []
    return [directive("proxy_ssl", Word("on")), *upstreams.tls(upstream, name, ctx)]


def check_upstream(ctx: Context, upstream: Upstream, about: About) -> None:
    """Refuses TLS that this nginx does not speak; notes what its endpoints see of ends."""
    if upstream.tls is None:
        return
    if not ctx.has(_NEEDED):
        about.refuse("", "its `tls`: `stream` of this nginx has no proxy_ssl")
    about.note("", "nginx ends its half towards endpoints with TLS without a close_notify")


def check_alike(upstream: Upstream, other: Upstream, about: About, why: str) -> None:
    """Refuses routes to two upstreams whose endpoints one server cannot speak to."""
    if upstream.tls != other.tls:
        about.refuse("", f"its `tls`: {why}")
    elif upstream.tls is not None and upstream is not other and not upstream.tls.verify_name:
        about.refuse("", "its `tls`: nginx has one name to verify; give `verify_name`")
