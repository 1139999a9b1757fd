"""Compiles UDP routes, and checks them with the objects that they name."""

from collections.abc import Iterator, Mapping
from itertools import product

from headgate.compile.resolved import Ref, Resolved
from headgate.compile.tcp import Entries, attached, bandwidth, hashed
from headgate.kernel.ids import ObjectName
from headgate.model.problems import Problem
from headgate.model.udp_route import UdpRoute as UdpRouteModel
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Upstream
from headgate.plan.plan import PlanEntry
from headgate.plan.udp import UdpRoute

_Seen = dict[tuple[str, str, str], str]
"""The first route by listener, server name and network."""


def udp_route(model: UdpRouteModel) -> Resolved:
    """Returns a UDP route; refers to its listeners and its upstream."""
    out = Resolved()
    for index, name in enumerate(model.listeners):
        out.refs.append(Ref("listener", name, ("listeners", index)))
    out.refs.append(Ref("upstream", model.upstream, ("upstream",)))
    out.value = UdpRoute(
        listeners=tuple(sorted(set(model.listeners))),
        client=tuple(sorted(set(model.client))),
        sni=tuple(sorted(set(model.sni))),
        upstream=model.upstream,
        balance_by=model.balance_by,
        answers=model.answers,
        idle_ms=model.timeouts.idle.ms,
        bandwidth=bandwidth(model.bandwidth),
    )
    return out


def misattached_udp(entries: Entries, objects: Mapping[ObjectKey, PlanEntry]) -> list[Problem]:
    """Returns HTTP routes on UDP listeners, and UDP routes that cannot work.

    It looks at every HTTP route if there is a UDP listener, else at UDP routes and listeners alone.
    """
    routes, out = attached("udp", entries)
    seen: _Seen = {}
    for entry in routes:
        if isinstance(entry.value, UdpRoute):
            out += _unreachable(entry, entry.value, seen)
            out += _unusable(entry, entry.value, objects)
    return out


def _unreachable(entry: PlanEntry, route: UdpRoute, seen: _Seen) -> Iterator[Problem]:
    """Yields an error if another route of a listener takes the same clients."""
    for listener in route.listeners:
        told: set[str] = set()
        for name, network in product(route.sni or ("",), route.client or ("",)):
            first = seen.setdefault((listener, name, network), entry.key.name)
            if first == entry.key.name or first in told:
                continue
            told.add(first)
            key = next((k for k in ("client", "sni") if getattr(route, k)), None)
            yield Problem(
                ("udp_routes", entry.key.name, *((key,) if key else ())),
                f'UDP route "{first}" takes {_whom(name, network)} on listener "{listener}"',
                "write other networks as `client`, or other names as `sni`",
                "value" if key else "key",
            )


def _whom(name: str, network: str) -> str:
    """Returns the clients that meet these conditions, in words."""
    whom = f"the clients of {network}" if network else "all other clients"
    return f'{whom} that ask for "{name}"' if name else whom


def _unusable(
    entry: PlanEntry, route: UdpRoute, objects: Mapping[ObjectKey, PlanEntry]
) -> Iterator[Problem]:
    """Yields what the upstream of a UDP route has that needs a connection, or a request."""
    found = objects.get(ObjectKey("upstream", ObjectName(route.upstream)))
    upstream = found.value if found is not None else None
    if not isinstance(upstream, Upstream):
        return
    path = ("udp_routes", entry.key.name, "upstream")
    name = f'upstream "{route.upstream}"'
    for key, is_there in (
        ("tls", upstream.tls is not None),
        ("affinity", upstream.affinity is not None),
        ("adaptive_concurrency", upstream.health.concurrency is not None),
    ):
        if is_there:
            what = f"{name} has `{key}`, which datagrams do not have"
            yield Problem(path, what, f"name one without `{key}`")
    if upstream.pool.proxy_protocol == "v1":
        what = f'{name} has proxy_protocol = "v1", which cannot tell of datagrams'
        yield Problem(path, what, 'name one with proxy_protocol = "v2", or without it')
    if upstream.protocol != "http1":
        what = f'{name} has protocol = "{upstream.protocol}"'
        yield Problem(path, what, "name one without `protocol`")
    for endpoint in upstream.endpoints:
        if endpoint.address.startswith("unix:"):
            what = f'{name} has the endpoint "{endpoint.address}", which takes no datagrams'
            yield Problem(path, what, "name one whose endpoints have an address and port")
    key = hashed(upstream)
    if key not in ("", "client_ip"):
        what = f'{name} is balanced by "{key}", which a datagram does not have'
        yield Problem(path, what, 'name one that is balanced by "client_ip"')
