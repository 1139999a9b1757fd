"""Renders HTTP/2 towards clients: which listeners offer it, in the words of this nginx.

From 1.25.1 nginx has HTTP/2 per server (`http2 on`), and recognises it on plain connections by its
preface. Before, it has HTTP/2 per address (`listen … http2`), and a plain address then speaks
nothing else.
"""

from collections.abc import Sequence
from typing import Final, Literal

from headgate.engines.nginx.render import tls
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.tlsnames import Offer, offers
from headgate.features.nginx import About
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Word, directive
from headgate.plan.http2 import Http2
from headgate.plan.objects import Listener, TlsPolicy

_H2: Final = "h2"
_ALPN: Final = (_H2, "http/1.1")
"""The offer of nginx where HTTP/2 is on, in its order; also that of a policy without ALPN."""

_OURS: Final = Http2()
_KEYS: Final = (
    ("dispatched", "dispatched"),
    ("bodies", "bodies"),
    ("header_list_bytes", "header_list"),
    ("continuations", "continuations"),
    ("windows", "windows"),
    ("output", "output"),
    ("budgets", "budgets"),
    ("timeouts", "timeouts"),
)
"""The keys that nginx has no directive for, in the plan and in the config."""


def protocols(policy: TlsPolicy) -> tuple[str, ...]:
    """Returns what a policy offers clients of HTTP by ALPN, in order of preference."""
    return tuple(one for one in policy.alpn or _ALPN if one in _ALPN)


def check_policy(ctx: Context, name: str, policy: TlsPolicy) -> None:
    """Refuses what nginx cannot offer by ALPN; notes where it offers HTTP/1.1 alone."""
    wanted = protocols(policy)
    if _H2 not in wanted:
        return
    about = ctx.findings.of("tls_policy", name)
    why = _why_not(ctx)
    if not policy.alpn:
        if why:
            about.note("alpn", f"clients get HTTP/1.1: {why}")
    elif why:
        about.refuse("alpn", f'{why}; write ["http/1.1"] or leave it out')
    elif wanted != _ALPN:
        about.refuse(
            "alpn",
            "beside h2 nginx always offers http/1.1, and prefers h2; "
            'write ["h2", "http/1.1"] or ["http/1.1"]',
        )


def why_no_h2c(ctx: Context) -> str:
    """Returns why a plain listener cannot have HTTP/2 beside HTTP/1.1; empty where it can."""
    match _words(ctx):
        case "directive":
            return ""
        case "listen":
            return "this nginx would take nothing but HTTP/2 there; nginx 1.25.1 takes both"
        case _:
            return "this nginx has no HTTP/2"


def in_listen(ctx: Context, name: str) -> bool:
    """Reports whether the `listen` lines of a listener say that it offers HTTP/2."""
    return _words(ctx) == "listen" and is_offered(ctx, name)


def in_server(ctx: Context, name: str) -> bool:
    """Reports whether the default server of a listener says that it offers HTTP/2."""
    return _words(ctx) == "directive" and is_offered(ctx, name)


def directives(ctx: Context, listeners: Sequence[str], *, is_default: bool) -> list[Node]:
    """Returns the line of a server on these listeners; `is_default`: it is their default server.

    On a plain connection nginx looks at the default server, on one with TLS at that of the name.
    """
    if _words(ctx) != "directive":
        return []
    heard = [one for one in listeners if is_default or ctx.listeners[one].tls is not None]
    if any(is_offered(ctx, one) for one in heard):
        return [directive("http2", Word("on"))]
    # As a guest we inherit what the `http` of somebody else says.
    return [directive("http2", Word("off"))] if ctx.target.mode == "guest" else []


def is_known(ctx: Context) -> bool:
    """Reports whether this nginx has HTTP/2 with limits that we write."""
    return bool(_words(ctx))


def streams(ctx: Context, listener: Listener) -> list[Node]:
    """Returns the limits of a listener's connections; the other ones are those of HTTP/1.1."""
    if not is_known(ctx):
        return []
    return [directive("http2_max_concurrent_streams", Word(str(listener.http2.streams)))]


def settings(ctx: Context, listener: Listener) -> list[Node]:
    """Returns what differs from the defaults in a server of a listener."""
    return streams(ctx, listener) if listener.http2.streams != _OURS.streams else []


def check(listener: Listener, about: About) -> None:
    """Refuses limits of HTTP/2 that nginx does not have."""
    for field, key in _KEYS:
        if getattr(listener.http2, field) != getattr(_OURS, field):
            about.refuse(f"http2.{key}", "nginx has a rule of its own for it; leave it out")


def is_offered(ctx: Context, name: str) -> bool:
    """Reports whether clients of a listener may speak HTTP/2."""
    known = ctx.with_http2.get(name)
    if known is None:
        known = ctx.with_http2[name] = _is_offered(ctx, ctx.listeners[name])
    return known


def _is_offered(ctx: Context, listener: Listener) -> bool:
    if listener.tls is None:
        return listener.h2c and not why_no_h2c(ctx)
    policy = tls.policy_of(ctx, Offer(offers(listener.tls, ctx).negotiated))
    return _H2 in protocols(policy) and not _why_not(ctx)


def _why_not(ctx: Context) -> str:
    """Returns why listeners with TLS cannot offer HTTP/2; empty where they can."""
    words = _words(ctx)
    if not words:
        return "this nginx has no HTTP/2"
    if words == "listen" and ctx.target.mode == "guest":
        return "this nginx would offer HTTP/2 for every server of the address, those of others too"
    return ""


def _words(ctx: Context) -> Literal["directive", "listen", ""]:
    if ctx.has("http2_directive"):
        return "directive"
    # An nginx that is older still has limits and times of its own for HTTP/2.
    return "listen" if ctx.has("http2_listen") and ctx.has("keepalive_time_client") else ""
