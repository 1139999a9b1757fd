"""Says what the requests of a route go through, in a form that can be compared with another time.

That is the route, its listener, the middlewares of its host and its own, and the TLS policy. It
leaves out what says nothing of who gets through to what, and what is renewed without an edit: times
and sizes of listeners, endpoints, certificates, revocation lists, and key sets that are fetched.
Pure.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Final

import msgspec

from headgate.compile.clientauth import most_specific
from headgate.compile.closed import Place, place_of
from headgate.compile.references import references
from headgate.compile.tcp import ends_tls
from headgate.features.nodes import node_of
from headgate.kernel.ids import ObjectName
from headgate.plan.codec import encode
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.middleware import MiddlewareUse, Step
from headgate.plan.objects import Host, Listener, Route, TlsPolicy
from headgate.plan.opaque import encoded
from headgate.plan.plan import PlanEntry
from headgate.plan.tcp import TcpRoute

Objects = Mapping[ObjectKey, PlanEntry]

Spot = tuple[str, str]
"""A listener and a host, or a server name; `ANY` where a route of TCP or UDP names none."""

ANY: Final = ""
_DIGITS: Final = 32
ROUTES: Final[tuple[Kind, ...]] = ("route", "tcp_route", "udp_route")
_THROUGH: Final[tuple[Kind, ...]] = ("upstream", "middleware", "listener", "host")
"""The kinds that refer to others, each after those that it may refer to; routes excepted."""


def names_of(route: Place) -> tuple[str, ...]:
    """Returns the hosts or the server names of a route."""
    return route.hosts if isinstance(route, Route) else route.sni or (ANY,)


def at(route: Place, listeners: Iterable[str], names: Iterable[str]) -> Place:
    """Returns a route in a part of its place."""
    kept = tuple(listeners)
    if isinstance(route, Route):
        return msgspec.structs.replace(route, listeners=kept, hosts=tuple(sorted(names)))
    sni = tuple(sorted(name for name in names if name != ANY))
    return msgspec.structs.replace(route, listeners=kept, sni=sni)


def widest(name: str, known: Collection[str]) -> str | None:
    """Returns which of these names takes the requests for one, as the most specific of them."""
    return most_specific(name, known) or (ANY if ANY in known else None)


def reached(objects: Objects, stale: Iterable[ObjectKey]) -> dict[ObjectKey, ObjectKey]:
    """Returns the objects but routes that are one of `stale` or go through one, and that one."""
    found = {key: key for key in stale}
    by_kind: dict[Kind, list[PlanEntry]] = {kind: [] for kind in _THROUGH}
    for key, one in objects.items():
        if key.kind in by_kind and key not in found:
            by_kind[key.kind].append(one)
    for one in (one for kind in _THROUGH for one in by_kind[kind]):
        cause = next((found[key] for key in references(one) if key in found), None)
        if cause is not None:
            found[one.key] = cause
    return found


class Scene:
    """The routes of one config, and what their requests go through."""

    def __init__(self, objects: Objects, suspects: Iterable[str]) -> None:
        """`suspects`: hosts to look at under the wider names of routes, besides those that other
        clients may ask for than for hosts without a section.
        """
        self._objects = objects
        hosts = {str(key.name): one.value for key, one in objects.items() if key.kind == "host"}
        self._hosts = hosts.keys()
        notable = {n for n, host in hosts.items() if isinstance(host, Host) and _differs(host)}
        if any(name.startswith("*") for name in notable):
            notable.update(hosts)
        self.notable = sorted(notable.union(suspects))
        self._names: dict[tuple[Kind, str], set[str]] = {}
        self._under: dict[tuple[Kind, str], dict[str, list[str]]] = {}
        for key, one in objects.items():
            if key.kind in ROUTES and (route := place_of(one)) is not None:
                for listener in route.listeners:
                    self._names.setdefault((key.kind, listener), set()).update(names_of(route))

    def names(self, kind: Kind, listener: str) -> Collection[str]:
        """Returns the names that routes of a kind have on a listener."""
        return self._names.get((kind, listener), ())

    def spots(self, route: Place) -> Iterator[Spot]:
        """Yields where a route takes requests."""
        return ((listener, name) for listener in route.listeners for name in names_of(route))

    def within(self, kind: Kind, route: Place, spot: Spot) -> Iterator[Spot]:
        """Yields a spot, and those of notable hosts whose requests are taken there, since no route
        has their name.
        """
        yield spot
        listener, name = spot
        if self._asks_host(route, listener):
            under = self._under.get((kind, listener))
            if under is None:
                under = self._under[kind, listener] = self._grouped(kind, listener)
            yield from ((listener, host) for host in under.get(name, ()))

    def _grouped(self, kind: Kind, listener: str) -> dict[str, list[str]]:
        """Returns the notable hosts without routes of their name, by the name that takes them."""
        known = self.names(kind, listener)
        found: dict[str, list[str]] = {}
        for host in self.notable:
            wider = widest(host, known)
            if wider is not None and wider != host:
                found.setdefault(wider, []).append(host)
        return found

    def around(self, route: Place, spot: Spot) -> Iterator[ObjectKey]:
        """Yields the listener and the hosts that have a say there in who reaches a route."""
        listener, name = spot
        yield ObjectKey("listener", ObjectName(listener))
        for host in (self._chain_host(route, name), self._tls_host(route, spot)):
            if host is not None:
                yield ObjectKey("host", ObjectName(host))

    def digest(self, route: Place, spot: Spot) -> str:
        """Returns a digest of what requests go through there; equal ones mean the same."""
        found = sha256()
        for part in self._parts(route, spot):
            found.update(len(part).to_bytes(8) + part)
        return found.hexdigest()[:_DIGITS]

    def _parts(self, route: Place, spot: Spot) -> Iterator[bytes]:
        """Yields the parts of a digest, in their order."""
        if isinstance(route, Route):
            owner = self._value("host", self._chain_host(route, spot[1]))
            uses = owner.middlewares if isinstance(owner, Host) else ()
            yield encode(msgspec.structs.replace(route, listeners=(), hosts=(), middlewares=()))
            yield from map(self._lasting, uses)
            yield b"|"
            yield from map(self._lasting, route.middlewares)
        else:
            yield encode(msgspec.structs.replace(route, listeners=(), sni=()))
        listener = self._value("listener", spot[0])
        yield _guard(listener) if isinstance(listener, Listener) else b"-"
        tls = listener.tls if isinstance(listener, Listener) else None
        policy = tls.policy if tls is not None else None
        yield self._demands(policy)
        host = self._value("host", self._tls_host(route, spot))
        if isinstance(host, Host) and host.tls_policy is not None:
            policy = host.tls_policy
        yield self._demands(policy)
        yield str(host.allow_plain if isinstance(host, Host) else None).encode()

    def _lasting(self, use: MiddlewareUse) -> bytes:
        step = self._value("middleware", use.use) if use.use else use
        node = node_of(step) if isinstance(step, Step) else None
        if not isinstance(step, Step) or node is None:
            return b"-"
        return f"{use.use} {step.kind} ".encode() + encoded(node.lasting())

    def _demands(self, policy: str | None) -> bytes:
        """Returns what a policy demands of clients."""
        value = self._value("tls_policy", policy)
        auth = value.client_auth if isinstance(value, TlsPolicy) else None
        if auth is None:
            return b"" if policy is None or isinstance(value, TlsPolicy) else b"-"
        return f"{auth.ca} {auth.required} {auth.crl is not None}".encode()

    def _chain_host(self, route: Place, name: str) -> str | None:
        """Returns the host whose middlewares run before the route's."""
        if not isinstance(route, Route):
            return None
        own = widest(name, route.hosts)
        return own if own in self._hosts else None

    def _tls_host(self, route: Place, spot: Spot) -> str | None:
        """Returns the host whose policy a client gets that asks for the name."""
        listener, name = spot
        if name == ANY or not self._asks_host(route, listener):
            return None
        return most_specific(name, self._hosts)

    def _asks_host(self, route: Place, listener: str) -> bool:
        """Reports whether hosts have a say in who reaches a route: where its TLS ends, and in HTTP,
        since some hosts are not served without TLS.
        """
        if isinstance(route, TcpRoute):
            value = self._value("listener", listener)
            return isinstance(value, Listener) and ends_tls(route, value)
        return isinstance(route, Route)

    def _value(self, kind: Kind, name: str | None) -> object:
        found = self._objects.get(ObjectKey(kind, ObjectName(name))) if name else None
        return found.value if found is not None else None


def _differs(host: Host) -> bool:
    """Reports whether other clients may ask for a host than for one without a section."""
    return host.tls_policy is not None or host.allow_plain is not None


def _guard(one: Listener) -> bytes:
    """Returns where a listener is, and what it believes of its clients."""
    tls = one.tls and msgspec.structs.replace(one.tls, default_certificate=None)
    kept = Listener(
        one.addresses,
        one.protocol,
        tls=tls,
        client_ip=one.client_ip,
        underscores_in_headers=one.underscores_in_headers,
    )
    return encode(kept)
