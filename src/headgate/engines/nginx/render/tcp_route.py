"""Chooses the TCP route of a connection in maps: by name and network, as `hg-route` does.

The most specific name decides alone: where the routes that have it do not take the client, no
route of a broader name does.
"""

from collections.abc import Mapping
from typing import Final

from headgate.features.nginx import Shared
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import Arg, Literal, MapKey, Plain, Var, Word, directive
from headgate.plan.tcp import TcpRoute
from headgate.plan.udp import UdpRoute

Routes = Mapping[str, TcpRoute]
OfClient = TcpRoute | UdpRoute
"""Routes that take clients by their network."""

_ANY: Final = "*"
_NOBODY: Final = Literal("")


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


def chosen(routes: Routes, shared: Shared) -> Arg:
    """Returns the name of the route that takes a connection; empty where none does."""
    if not asks_hello(routes):
        return of_client(routes, shared)
    unnamed = of_client(_with(routes, ""), shared)
    any_name = _with(routes, _ANY)
    otherwise = of_client(any_name, shared) if any_name else unnamed
    named = sorted({name for one in routes.values() for name in one.sni} - {_ANY})
    entries: list[tuple[Arg, Arg]] = [
        (Plain(name) if name.startswith("*") else MapKey(name), of_client(of, shared))
        for name, of in ((name, _with(routes, name)) for name in named)
    ]
    entries.append((MapKey(""), unnamed))
    by_name = shared.hosts("name", Var("ssl_preread_server_name"), entries, otherwise)
    # What is no TLS has no version either. nginx asks no expression about an empty value.
    not_tls = [(MapKey(""), _NOBODY)]
    return shared.map("hello", Var("ssl_preread_protocol"), not_tls, by_name)


def _with(routes: Routes, name: str) -> Routes:
    """Returns the routes that have a name; those without any for an empty one."""
    return {key: one for key, one in routes.items() if name in (one.sni or ("",))}


def of_client(routes: Mapping[str, OfClient], shared: Shared) -> Arg:
    """Returns the name of the route with the narrowest network around a client."""
    others = next((name for name, one in routes.items() if not one.client), "")
    entries = [(net, Literal(name)) for name, one in routes.items() for net in one.client]
    if not entries:
        return Literal(others)
    return shared.networks("route", Var("remote_addr"), entries, Literal(others))
