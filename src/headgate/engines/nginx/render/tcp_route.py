"""Chooses the TCP route of a connection in maps: by name and network, as `hg-route` does.

The most specific name decides alone: where the routes that have it do not take the client, no
route of a broader name does.
"""

from collections.abc import Mapping
from typing import Final

from headgate.features.nginx import Shared, quoted, whole
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Arg, Literal, MapKey, Plain, Var, Word, directive
from headgate.plan.tcp import TcpRoute
from headgate.plan.udp import UdpRoute

Routes = Mapping[str, TcpRoute]
OfClient = TcpRoute | UdpRoute
"""Routes that take clients by their network."""

PREREAD_NAME: Final = Var("ssl_preread_server_name")
"""The name in a ClientHello that passes through."""

_AGREED: Final = Var("ssl_alpn_protocol")
_ANY: Final = "*"
_NOBODY: Final = Literal("")


def upstreams_of(routes: Mapping[str, OfClient]) -> set[str]:
    """Returns the names of the upstreams that routes lead to."""
    return {part.upstream for one in routes.values() for part in one.parts}


def admitted(routes: Mapping[str, OfClient]) -> list[Node]:
    """Returns who gets a route at all, unless one takes everybody."""
    if any(not one.client for one in routes.values()):
        return []
    networks = sorted({network for one in routes.values() for network in one.client})
    return [
        *(directive("allow", Word(network)) for network in networks),
        directive("deny", Word("all")),
    ]


def asks_hello(routes: Routes) -> bool:
    """Reports whether a connection has no route before its ClientHello was read."""
    return any(one.sni or one.alpn for one in routes.values())


def chosen(routes: Routes, shared: Shared, *, name: Var, is_ended: bool) -> Arg:
    """Returns the name of the route that takes a connection; empty where none does.

    `name` is the variable of the name that the client asks for; `is_ended`: its TLS ends here, so
    that there is one, and a protocol that was agreed on.
    """
    if not asks_hello(routes):
        return of_client(routes, shared)
    named = _by_name(routes)
    unnamed = _of_protocol(named.pop("", {}), shared)
    any_name = named.pop(_ANY, None)
    otherwise = _of_protocol(any_name, shared) if any_name else unnamed
    entries: list[tuple[Arg, Arg]] = [
        (Plain(one) if one.startswith("*") else MapKey(one), _of_protocol(of, shared))
        for one, of in sorted(named.items())
    ]
    entries.append((MapKey(""), unnamed))
    by_name = shared.hosts("name", name, entries, otherwise)
    if is_ended:
        return by_name
    # What is no TLS has no version either. nginx asks no expression about an empty value.
    not_tls = [(MapKey(""), _NOBODY)]
    return shared.map("hello", Var("ssl_preread_protocol"), not_tls, by_name)


def _by_name(routes: Routes) -> dict[str, Routes]:
    """Returns the routes by the names that they have; those without any have an empty one."""
    found: dict[str, dict[str, TcpRoute]] = {}
    for key, one in routes.items():
        for name in one.sni or ("",):
            found.setdefault(name, {})[key] = one
    return {**found}


def _of_protocol(routes: Routes, shared: Shared) -> Arg:
    """Returns the name of the route by the protocol that was agreed on, then by the network."""
    protocols = sorted({protocol for one in routes.values() for protocol in one.alpn})
    others = of_client({name: one for name, one in routes.items() if not one.alpn}, shared)
    entries: list[tuple[Arg, Arg]] = []
    for protocol in protocols:
        of = {name: one for name, one in routes.items() if protocol in one.alpn}
        found = of_client(of, shared)
        if isinstance(found, Var):
            found = shared.map("route", found, [(MapKey(""), others)], found)
        # A map compares texts without case; names of protocols have it.
        entries.append((whole(quoted(protocol)), found))
    return shared.map("protocol", _AGREED, entries, others) if entries else others


def of_client(routes: Mapping[str, OfClient], shared: Shared) -> Arg:
    """Returns the name of the route with the narrowest network around a client."""
    others = next((name for name, one in routes.items() if not one.client), "")
    first: dict[str, str] = {}
    for name, one in routes.items():
        for network in one.client:
            # A quarantined route may close what another one takes: the first name wins.
            first.setdefault(network, name)
    if not first:
        return Literal(others)
    entries = [(network, Literal(name)) for network, name in first.items()]
    return shared.networks("route", Var("remote_addr"), entries, Literal(others))
