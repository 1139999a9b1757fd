"""Compiles TCP routes, and checks them with the objects that they name."""

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Literal

from headgate.compile.resolved import Ref, Resolved
from headgate.features.byterates import burst_of, bytes_of
from headgate.features.nodes import balancer_of
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.ids import ObjectName
from headgate.kernel.nearest import listed
from headgate.model.problems import Problem
from headgate.model.tcp_route import TcpBandwidth as TcpBandwidthModel
from headgate.model.tcp_route import TcpRoute as TcpRouteModel
from headgate.model.udp_route import UdpBandwidth
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.objects import Listener, Route, SplitPart, Sticky, Upstream
from headgate.plan.plan import PlanEntry
from headgate.plan.tcp import TcpBandwidth, TcpRoute, TcpTimeouts
from headgate.plan.udp import UdpRoute

_Seen = dict[tuple[str, str, str, str], str]
"""The first route by listener, server name, protocol and network."""

Entries = Callable[[Kind], list[PlanEntry]]
"""The plan objects of a kind, by name."""


def tcp_route(model: TcpRouteModel) -> Resolved:
    """Returns a TCP route; refers to its listeners and its upstream."""
    out = Resolved()
    for index, name in enumerate(model.listeners):
        out.refs.append(Ref("listener", name, ("listeners", index)))
    split = tuple(SplitPart(part.upstream, part.weight) for part in model.split or ())
    if model.upstream is not None:
        out.refs.append(Ref("upstream", model.upstream, ("upstream",)))
    for index, part in enumerate(split):
        out.refs.append(Ref("upstream", part.upstream, ("split", index, "upstream")))
    out.value = TcpRoute(
        listeners=tuple(sorted(set(model.listeners))),
        client=tuple(sorted(set(model.client))),
        sni=tuple(sorted(set(model.sni))),
        alpn=tuple(sorted(set(model.alpn))),
        tls=model.tls,
        upstream=model.upstream,
        split=split,
        sticky=Sticky(by=(model.sticky.by,)) if model.sticky is not None else None,
        timeouts=TcpTimeouts(
            idle_ms=model.timeouts.idle.ms,
            half_open_ms=model.timeouts.half_open.ms,
            lifetime_ms=model.timeouts.lifetime.ms,
        ),
        bandwidth=bandwidth(model.bandwidth),
    )
    return out


def bandwidth(model: TcpBandwidthModel | UdpBandwidth | None) -> TcpBandwidth | None:
    """Returns the limit of a TCP or UDP route; to the plan, a flow is a connection."""
    if model is None:
        return None
    return TcpBandwidth(
        download=bytes_of(model.download),
        download_burst=burst_of(model.download, model.burst),
        upload=bytes_of(model.upload),
        upload_burst=burst_of(model.upload, model.burst),
        key="connection" if model.key == "flow" else model.key,
        ipv6_prefix=model.ipv6_prefix,
        max_keys=model.max_keys,
    )


def misattached(entries: Entries, objects: Mapping[ObjectKey, PlanEntry]) -> list[Problem]:
    """Returns routes on listeners of another protocol, and TCP routes that cannot work.

    It looks at every HTTP route if there is a TCP listener, else at TCP routes and listeners alone.
    """
    routes, out = attached("tcp", entries)
    seen: _Seen = {}
    for entry in routes:
        if isinstance(entry.value, TcpRoute):
            out += _unreachable(entry, entry.value, seen)
            out += _unended(entry, entry.value, objects)
            out += _unusable(entry, entry.value, objects)
    return out


def attached(
    protocol: Literal["tcp", "udp"], entries: Entries
) -> tuple[list[PlanEntry], list[Problem]]:
    """Returns the routes of a protocol, and an error for each route, of HTTP as well, that is on a
    listener of another one.
    """
    known_listeners = {
        str(entry.key.name): entry.value
        for entry in entries("listener")
        if isinstance(entry.value, Listener)
    }
    speaks = {name: one.protocol for name, one in known_listeners.items()}
    own = {name for name, one in speaks.items() if one == protocol}
    named = {
        needed: listed(sorted(name for name, one in speaks.items() if one == needed))
        for needed in ("http", protocol)
    }
    out: list[Problem] = []
    for entry in entries("route") if own else []:
        if isinstance(entry.value, Route) and not own.isdisjoint(entry.value.listeners):
            wrong = sorted(own & set(entry.value.listeners))
            out += _elsewhere("routes", entry, wrong, speaks, named["http"])
    detecting = {name for name, one in known_listeners.items() if one.detect_timeout_ms}
    fitting = own | detecting if protocol == "tcp" else own
    routes = entries("tcp_route" if protocol == "tcp" else "udp_route")
    for entry in routes:
        if isinstance(entry.value, TcpRoute | UdpRoute):
            known = [name for name in entry.value.listeners if name in speaks]
            wrong = [name for name in known if name not in fitting]
            out += _elsewhere(f"{protocol}_routes", entry, wrong, speaks, named[protocol])
    return routes, out


def _elsewhere(
    section: str, entry: PlanEntry, listeners: list[str], speaks: Mapping[str, str], named: str
) -> Iterator[Problem]:
    """Yields an error for each of these listeners, which speak another protocol; `named` are the
    fitting ones."""
    needed = {"tcp_routes": "tcp", "udp_routes": "udp"}.get(section, "http")
    allowed = f'name listeners with protocol = "{needed}"' + (f": {named}" if named else "")
    for name in listeners:
        what = f'listener "{name}" has protocol = "{speaks[name]}"'
        detects = section == "tcp_routes" and speaks[name] == "http"
        also = ", or write `detect` in it" if detects else ""
        yield Problem((section, entry.key.name, "listeners"), what, allowed + also)


def _unreachable(entry: PlanEntry, route: TcpRoute, seen: _Seen) -> Iterator[Problem]:
    """Yields an error if another route of a listener takes the same connections."""
    for listener in route.listeners:
        told: set[str] = set()
        for one in product(route.sni or ("",), route.alpn or ("",), route.client or ("",)):
            first = seen.setdefault((listener, *one), entry.key.name)
            if first == entry.key.name or first in told:
                continue
            told.add(first)
            key = next((k for k in ("client", "sni", "alpn") if getattr(route, k)), None)
            yield Problem(
                ("tcp_routes", entry.key.name, *((key,) if key else ())),
                f'TCP route "{first}" takes {_whom(*one)} on listener "{listener}"',
                "write other networks as `client`, or other names as `sni`",
                "value" if key else "key",
            )


def _whom(name: str, protocol: str, network: str) -> str:
    """Returns the connections that meet these conditions, in words."""
    if not (name or protocol or network):
        return "all other clients"
    whom = f"the clients of {network}" if network else "all clients"
    asked = [f'ask for "{name}"'] if name else []
    asked += [f'offer "{protocol}"'] if protocol else []
    return f"{whom} that {' and '.join(asked)}" if asked else whom


def ends_tls(route: TcpRoute, listener: Listener) -> bool:
    """Reports whether the TLS of a route's connections ends at a listener."""
    return listener.protocol == "tcp" and listener.tls is not None and route.tls != "passthrough"


def _unended(
    entry: PlanEntry, route: TcpRoute, objects: Mapping[ObjectKey, PlanEntry]
) -> Iterator[Problem]:
    """Yields listeners of a route that are to end TLS and do not."""
    asks = bool(route.sni or route.alpn)
    for name in route.listeners if route.tls != "passthrough" else ():
        found = objects.get(ObjectKey("listener", ObjectName(name)))
        listener = found.value if found is not None else None
        if not isinstance(listener, Listener):
            continue
        if listener.protocol == "http" and (route.tls or (asks and listener.tls is not None)):
            yield Problem(
                ("tcp_routes", entry.key.name, *(("tls",) if route.tls else ())),
                f'on listener "{name}", which is of HTTP, TLS of TCP routes passes through',
                'write tls = "passthrough", or name a listener with protocol = "tcp"',
                "value" if route.tls else "key",
            )
        if listener.protocol == "tcp" and listener.tls is None and route.tls:
            yield Problem(
                ("tcp_routes", entry.key.name, "tls"),
                f'listener "{name}" has no `tls`, so no TLS ends there',
                'write `tls` in the listener, or "passthrough" here',
            )


def _unusable(
    entry: PlanEntry, route: TcpRoute, objects: Mapping[ObjectKey, PlanEntry]
) -> Iterator[Problem]:
    """Yields what the upstreams of a TCP route have that is of HTTP, or not passed on here."""
    for index, part in enumerate(route.parts):
        found = objects.get(ObjectKey("upstream", ObjectName(part.upstream)))
        if found is not None and isinstance(found.value, Upstream):
            path = ("tcp_routes", entry.key.name, *route.path(index))
            yield from _unfit(path, f'upstream "{part.upstream}"', found.value)


def _unfit(path: ConfigPath, name: str, upstream: Upstream) -> Iterator[Problem]:
    if upstream.protocol != "http1":
        what = f'{name} has protocol = "{upstream.protocol}"'
        yield Problem(path, what, "name one without `protocol`")
    key = hashed(upstream)
    if key not in ("", "client_ip"):
        yield Problem(
            path,
            f'{name} is balanced by "{key}", which a TCP connection does not have',
            'name one that is balanced by "client_ip"',
        )
    if upstream.affinity is not None:
        yield Problem(
            path,
            f"{name} has `affinity`, whose cookie a TCP connection does not have",
            'name one that is balanced by "client_ip"',
        )
    if upstream.health.concurrency is not None:
        yield Problem(
            path,
            f"{name} has `adaptive_concurrency`, which learns from answers to requests",
            "name one with `limits.connections` instead",
        )


def hashed(upstream: Upstream) -> str:
    """Returns what the upstream is balanced by the hash of; empty for other balancers."""
    return balancer_of(upstream.balance).hashed
