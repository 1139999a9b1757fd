"""Renders the servers of a config: which listener, which names, which routes.

A server stands for one host on listeners that treat requests alike. On a TLS listener names with a
certificate but without routes of their own get servers too, with the routes of the host that covers
them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from headgate.engines.nginx.common.types import ServedName
from headgate.engines.nginx.render import admission, asking, forwarded, http2, shapes, tls
from headgate.engines.nginx.render import misdirected as wrong_host
from headgate.engines.nginx.render.bodies import Bodies
from headgate.engines.nginx.render.context import Context, by_listener
from headgate.engines.nginx.render.dispatch import locations
from headgate.engines.nginx.render.listening import listens, settings
from headgate.engines.nginx.render.tlsnames import ANY, Offer, Offers, best, leaf, offers
from headgate.features.nginx import quoted
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    Literal,
    Plain,
    Regex,
    Var,
    comment,
    directive,
)
from headgate.plan.objects import ClientIp, Listener, Route

_LONGEST_COMMENT: Final = 300

_OF_LISTENER: Final = ("min_version", "max_version", "cipher_suites", "groups")
"""The keys that nginx negotiates before it knows the name that a client asks for; ALPN as well."""

Names = tuple[str, ...]
"""Names of a server: hosts, `""` for unknown ones, or `~` and an expression."""

CATCH_ALL: Final = ""
EVERY_NAME: Final = "~."


class Profile(NamedTuple):
    """A server's settings from its listener; listeners that agree in them may share servers."""

    client_ip: ClientIp
    head_bytes: int
    header_count: int
    body_bytes: int
    keepalive_requests: int
    head_timeout_ms: int
    idle_timeout_ms: int
    max_connections: int
    http2_streams: int
    """0 where this nginx has no HTTP/2, so that servers are not told apart by it."""


@dataclass(slots=True)
class Site:
    """A planned server block. `host` is the host whose routes it has, None for none."""

    names: Names
    host: str | None
    routes: tuple[str, ...]
    profile: Profile
    offer: Offer | None
    listeners: list[str] = field(default_factory=list)


def profile_of(ctx: Context, listener: Listener) -> Profile:
    """Returns the part of a listener that its servers render."""
    return Profile(
        client_ip=listener.client_ip,
        head_bytes=listener.head_bytes,
        header_count=listener.header_count,
        body_bytes=listener.body_bytes,
        keepalive_requests=listener.keepalive_requests,
        head_timeout_ms=listener.head_timeout_ms,
        idle_timeout_ms=listener.idle_timeout_ms,
        max_connections=listener.max_connections,
        http2_streams=listener.http2.streams if http2.is_known(ctx) else 0,
    )


def sites(ctx: Context) -> list[Site]:
    """Returns every server, by host and name."""
    found: dict[object, list[Site]] = {}
    routes = by_listener(ctx.routes)
    for name, listener in ctx.listeners.items():
        for site in _of_listener(ctx, name, listener, routes.get(name, {})):
            # On plain connections the default server alone says whether there is HTTP/2.
            has_http2 = CATCH_ALL in site.names and http2.in_server(ctx, name)
            key = (site.names, site.host, site.routes, site.profile, has_http2)
            alike = found.setdefault(key, [])
            for other in alike:
                if other.offer is None or site.offer in (None, other.offer):
                    other.offer = other.offer or site.offer
                    other.listeners.append(name)
                    break
            else:
                site.listeners.append(name)
                alike.append(site)
    flat = [site for alike in found.values() for site in alike]
    return sorted(flat, key=_order)


def _order(site: Site) -> tuple[object, ...]:
    """Sorts by host and name; nginx takes the first expression that fits, so `~.` stands last."""
    return site.host or "", EVERY_NAME in site.names, site.names, site.listeners


def _of_listener(
    ctx: Context, name: str, listener: Listener, routes: Mapping[str, Route]
) -> Iterable[Site]:
    by_host: dict[str, list[str]] = {}
    for route_name, route in routes.items():
        for host in route.hosts:
            by_host.setdefault(host, []).append(route_name)
    profile = profile_of(ctx, listener)

    def site(of: Names, host: str | None, offer: Offer | None) -> Site:
        return Site(of, host, tuple(by_host.get(host or "", ())), profile, offer)

    hosts = frozenset(by_host)
    everything = ANY if ANY in hosts else None
    if listener.tls is None:
        yield site((CATCH_ALL,), everything, None)
        for host in sorted(hosts - {ANY}):
            yield site((host,), host, None)
        return
    offered = offers(listener.tls, ctx)
    _check_policies(ctx, name, offered)
    grouped: dict[tuple[str | None, Offer], list[str]] = {}
    for one in sorted((hosts | offered.by_name.keys() | set(_covered(offered))) - {ANY}):
        known = one in hosts or one in offered.by_name
        server_name = one if known else _one_label(one)
        grouped.setdefault((best(one, hosts), offered.of(one)), []).append(server_name)
    for (covering, offer), of in grouped.items():
        yield site(tuple(of), covering, offer)
    unknown = offered.by_name.get(ANY, offered.unknown)
    nameless = offered.none if offered.none.certificates else Offer(offered.negotiated)
    yield site((CATCH_ALL,), everything, nameless)
    if unknown != offered.none:
        yield site((EVERY_NAME,), everything, unknown)


def _one_label(name: str) -> str:
    """Returns a certificate's name for nginx:
    its `*` is one label, that of a server name several.
    """
    if not name.startswith("*."):
        return name
    return rf"~\A[^.]+{quoted(name[1:])}\z"


def _covered(offered: Offers) -> list[str]:
    return [n for n in offered.apart if not n.replace(".", "").isdigit() and ":" not in n]


def _check_policies(ctx: Context, name: str, offered: Offers) -> None:
    """Refuses policies that differ by name:
    nginx negotiates versions, suites and groups before it knows the name.
    """
    used = {offered.negotiated, *(offer.policy for offer in offered.by_name.values())}
    first = tls.policy_of(ctx, Offer(offered.negotiated))
    for policy in sorted(used):
        other = tls.policy_of(ctx, Offer(policy))
        http2.check_policy(ctx, policy, other)
        differ = [key for key in _OF_LISTENER if getattr(other, key) != getattr(first, key)]
        differ += ["alpn"] if http2.protocols(other) != http2.protocols(first) else []
        for key in differ:
            about = ctx.findings.of("tls_policy", policy)
            about.refuse(key, f"nginx has one {key} for all names of listener {name}")


def render(ctx: Context, found: list[Site]) -> dict[str, list[Node]]:
    """Returns the servers' text by file."""
    base = forwarded.request_headers(ctx)
    plain = admission.variable(ctx.shared, None)
    secure = admission.variable(ctx.shared, wrong_host.variable(ctx))
    policies = _policies(found)
    made: list[shapes.Server] = []
    for site in found:
        with ctx.findings.of("host", site.host or "*").guarded(""):
            taken = plain if site.offer is None else secure
            server = _server(ctx, site, base, taken, _tls(ctx, site, policies))
            made.append((site.names, site.host, server))
    return shapes.files(made, ctx.shared)


def _tls(ctx: Context, site: Site, policies: dict[str, set[str]]) -> list[Node]:
    if site.offer is None:
        return []
    on_these = set[str]().union(*(policies.get(one, set()) for one in site.listeners))
    is_alone = len(on_these) <= 1
    if site.offer.certificates:
        return tls.server(ctx, site.offer, is_alone=is_alone)
    is_default = CATCH_ALL in site.names
    return tls.refusing(ctx, site.offer, is_default=is_default, is_alone=is_alone)


def _server(
    ctx: Context, site: Site, base: list[tuple[str, Arg]], taken: Var, secured: list[Node]
) -> list[Node]:
    listener = ctx.listeners[site.listeners[0]]
    is_default = CATCH_ALL in site.names
    nodes: list[Node] = listens(ctx, site.listeners, is_default=is_default)
    nodes.append(directive("server_name", *map(_server_name, site.names)))
    nodes += http2.directives(ctx, site.listeners, is_default=is_default)
    nodes += [*settings(ctx, listener), *secured]
    if ctx.target.mode == "guest":
        nodes.append(directive("include", Plain(ctx.release_path("defaults.conf"))))
    bodies = Bodies(ctx, site.host, listener, base)
    found = locations(ctx, site.routes, bodies)
    nodes += [
        directive("include", Plain(ctx.release_path("errors.conf"))),
        *(asking.at_first(ctx) if bodies.asks_service else ()),
        *admission.directives(ctx, taken),
        *found,
        *([asking.moved()] if bodies.asks_service else ()),
    ]
    what = f"host {site.host}" if site.host is not None else "no host"
    text = f"{what} on {', '.join(site.listeners)}"
    return [comment(text[:_LONGEST_COMMENT]), directive("server", children=nodes)]


def _policies(found: list[Site]) -> dict[str, set[str]]:
    """Returns the TLS policies of the certificates that each listener offers."""
    policies: dict[str, set[str]] = {}
    for one in found:
        if one.offer is not None and one.offer.certificates:
            for listener in one.listeners:
                policies.setdefault(listener, set()).add(one.offer.policy)
    return policies


def _server_name(name: str) -> Arg:
    if name == CATCH_ALL:
        return Literal("")
    return Regex(name) if name.startswith("~") else Plain(name)


def served_names(ctx: Context, found: list[Site]) -> tuple[ServedName, ...]:
    """Returns what a client of each name with a certificate may be served."""
    served = []
    for site in found:
        if site.offer is None or not site.offer.certificates:
            continue
        leaves = tuple(sorted(leaf(ctx, one).sha256 for one in site.offer.certificates))
        for listener in site.listeners:
            if ctx.listeners[listener].tls is None:
                continue
            is_proxied = ctx.listeners[listener].client_ip.proxy_protocol is not None
            for name in site.names:
                if name != CATCH_ALL and not name.startswith("~"):
                    served += [
                        ServedName(address, name, leaves, is_proxied)
                        for address in ctx.listeners[listener].addresses
                    ]
    return tuple(served)
