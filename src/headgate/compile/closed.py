"""Makes the routes that keep a place closed while what belongs there is quarantined. Pure.

A closed route of HTTP answers 503. One of TCP or UDP leads to an upstream whose only endpoint takes
nothing: headgate closes a connection at once, drops a datagram, and counts both as `no-endpoint`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, Literal

from headgate.plan.middleware import Respond
from headgate.plan.objects import Action, Endpoint, Listener, Route, Upstream
from headgate.plan.plan import PlanEntry
from headgate.plan.tcp import TcpRoute
from headgate.plan.udp import UdpRoute

REASON: Final = "quarantined"
STATUS: Final = 503
_PROXY_STATUS: Final = f'headgate; error=destination_unavailable; details="{REASON}"'
CLOSED: Final = Action(
    respond=Respond(
        status=STATUS,
        body=f"503 Service Unavailable\n{REASON}: the config of this place has an error\n",
        headers={"content-type": "text/plain; charset=utf-8", "proxy-status": _PROXY_STATUS},
    )
)
NOBODY: Final = f"#{REASON}"
"""The upstream of closed TCP and UDP routes, with a `#` more for each upstream of that name."""
TAKES_NOTHING: Final = Upstream((Endpoint("127.0.0.1:1", weight=0),))
_NOBODY: Final = re.compile(re.escape(NOBODY) + "#*")

Place = Route | TcpRoute | UdpRoute
"""A route, by what it takes."""

Listeners = Mapping[str, Listener]
"""The listeners that are open."""

_Tls = Literal["terminate", "passthrough"] | None


def place_of(entry_: PlanEntry | None) -> Place | None:
    """Returns the route of an entry; None for another object."""
    value = entry_.value if entry_ is not None else None
    return value if isinstance(value, Place) else None


def stands(now: Place, before: Place) -> bool:
    """Reports whether a route has the place and the middlewares that it had."""
    return _standing(now) == _standing(before)


def _standing(route: Place) -> tuple[object, ...]:
    match route:
        case Route():
            where = (route.hosts, route.match, route.priority, route.middlewares)
            return (route.listeners, *where)
        case TcpRoute():
            return (route.listeners, route.client, route.sni, route.alpn, route.tls)
        case UdpRoute():
            return (route.listeners, route.client, route.sni)


def closed(place: Place, listeners: Listeners, nobody: str) -> Iterator[Place]:
    """Yields the routes that close a place: none where none of its listeners is open or can have
    such a route. `nobody`: the upstream that takes nothing.
    """
    heard = {name: listeners[name] for name in place.listeners if name in listeners}
    match place:
        case Route():
            names = tuple(name for name, one in heard.items() if one.protocol == "http")
            if names:
                yield Route(
                    hosts=place.hosts,
                    listeners=names,
                    action=CLOSED,
                    match=place.match,
                    priority=place.priority,
                )
        case TcpRoute():
            yield from _closed_tcp(place, heard, nobody)
        case UdpRoute():
            names = tuple(name for name, one in heard.items() if one.protocol == "udp")
            if names:
                yield UdpRoute(names, nobody, client=place.client, sni=place.sni)
        case _:
            return


def _closed_tcp(place: TcpRoute, heard: Listeners, nobody: str) -> Iterator[TcpRoute]:
    """Yields a route for each way in which TLS is handled: its listeners may have changed."""
    groups: dict[_Tls, list[str]] = {}
    for name, listener in heard.items():
        if listener.protocol == "tcp":
            tls = place.tls if listener.tls is not None else None
        elif listener.detect_timeout_ms:
            is_asking = bool(place.sni or place.alpn) and listener.tls is not None
            tls = "passthrough" if is_asking else None
        else:
            continue
        groups.setdefault(tls, []).append(name)
    for tls, names in groups.items():
        yield TcpRoute(
            tuple(names), nobody, client=place.client, sni=place.sni, alpn=place.alpn, tls=tls
        )


def is_closed(entry_: PlanEntry) -> bool:
    """Reports whether an object of a plan is there only to close the place of a quarantined one."""
    if entry_.key.kind == "upstream":
        is_nobody = _NOBODY.fullmatch(entry_.key.name) is not None
        return is_nobody and entry_.value == TAKES_NOTHING
    if REASON.encode() not in entry_.canonical:
        return False
    match place_of(entry_):
        case Route(action=action):
            return action == CLOSED
        case TcpRoute(upstream=str(name)) | UdpRoute(upstream=name):
            return _NOBODY.fullmatch(name) is not None
        case _:
            return False
