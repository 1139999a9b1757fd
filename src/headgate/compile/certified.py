"""Finds routes that ask for client certificates where no client can have one."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from headgate.compile.clientauth import most_specific
from headgate.features.nodes import node_of
from headgate.kernel.diagnostics import dotted
from headgate.kernel.ids import ObjectName
from headgate.model.problems import Problem
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.middleware import Made, MiddlewareUse, Step
from headgate.plan.objects import Host, Listener, Route, TlsPolicy
from headgate.plan.plan import PlanEntry

Objects = Mapping[ObjectKey, PlanEntry]
Entries = Callable[[Kind], list[PlanEntry]]
"""The plan objects of a kind, by name."""


def uncertified(entries: Entries, objects: Objects, inline: Iterable[PlanEntry]) -> list[Problem]:
    """Returns routes with a middleware that asks for the client's certificate, on a listener or
    under a host whose clients are never asked for one: nobody would pass; and routes whose matches
    ask for it, where no listener and host of theirs asks: nobody would get them.

    `inline` are the routes and hosts with matches and middlewares written in them. Looks at every
    route if one of these, or a named one, asks for certificates, else at the named ones alone.
    """
    named = {str(one.key.name) for one in entries("middleware") if _asks(one.value)}
    if not named and not any(asks_certificates(one.value) for one in inline):
        return []
    hosts = [str(one.key.name) for one in entries("host")]
    found: list[Problem] = []
    for one in entries("route"):
        route = one.value
        if not isinstance(route, Route):
            continue
        for host in route.hosts:
            owner = _object(objects, "host", host)
            uses = [*_uses(owner), *route.middlewares]
            places = _unasked(uses, objects, route, host, hosts)
            found += (_problem(str(one.key.name), host, *place) for place in places)
        if _is_never_found(route, objects, hosts):
            found.append(_nobody(str(one.key.name)))
    return found


def asks_certificates(value: object) -> bool:
    """Reports whether a match or a middleware that is written in it asks for certificates."""
    return _matches(value) or any(_asks(use) for use in _uses(value))


def _matches(value: object) -> bool:
    return isinstance(value, Route) and any(m.client_certificate is not None for m in value.match)


def _is_never_found(route: Route, objects: Objects, hosts: Sequence[str]) -> bool:
    """Reports whether all its matches ask for certificates and no client of it can have one."""
    if not route.match or not all(m.client_certificate is not None for m in route.match):
        return False
    unasked = (list(_not_asking(objects, route, host, hosts)) for host in route.hosts)
    return all(len(listeners) == len(route.listeners) for listeners in unasked)


def _asks(value: object) -> bool:
    node = node_of(value) if isinstance(value, Step) else None
    return node is not None and node.wants_certificate


def _uses(value: object) -> Sequence[MiddlewareUse]:
    return value.middlewares if isinstance(value, (Host, Route)) else ()


def _object(objects: Objects, kind: Kind, name: str) -> object:
    found = objects.get(ObjectKey(kind, ObjectName(name)))
    return found.value if found is not None else None


def _nodes(uses: Iterable[MiddlewareUse], objects: Objects) -> Iterator[Made]:
    for use in uses:
        step = _object(objects, "middleware", use.use) if use.use else use
        node = node_of(step) if isinstance(step, Step) else None
        if node is not None:
            yield node


def _unasked(
    uses: Sequence[MiddlewareUse],
    objects: Objects,
    route: Route,
    host: str,
    hosts: Sequence[str],
) -> Iterator[tuple[str, str | None]]:
    """Yields those places of a route where a middleware asks in vain."""
    nodes = list(_nodes(uses, objects))
    at = next((i for i, node in enumerate(nodes) if node.wants_certificate), None)
    if at is None:
        return
    is_led = any(node.leads_to_https for node in nodes[:at])
    for name, policy in _not_asking(objects, route, host, hosts):
        if policy is not None or not is_led:
            yield name, policy


def _not_asking(
    objects: Objects, route: Route, host: str, hosts: Sequence[str]
) -> Iterator[tuple[str, str | None]]:
    """Yields listeners of a route whose clients are not asked when they come for this host, with
    the policy that does not ask; None for a plain listener.
    """
    owner = _object(objects, "host", most_specific(host, hosts) or "")
    own = owner.tls_policy if isinstance(owner, Host) else None
    for name in route.listeners:
        listener = _object(objects, "listener", name)
        if not isinstance(listener, Listener):
            continue
        if listener.tls is None:
            yield name, None
            continue
        policy = own or listener.tls.policy or ""
        known = _object(objects, "tls_policy", policy)
        # A policy that is wrong itself is reported where it is written.
        if known.client_auth is None if isinstance(known, TlsPolicy) else not policy:
            yield name, policy


def _nobody(route: str) -> Problem:
    what = "every match of this route asks for a client certificate, and no listener of it does"
    allowed = "write `client_auth` in the TLS policy of its host or listener"
    return Problem(("routes", route), what, allowed, "key")


def _problem(route: str, host: str, listener: str, policy: str | None) -> Problem:
    if policy is None:
        why = f'the listener "{listener}" is plain'
        allowed = "name TLS listeners alone in `listeners`"
    elif policy:
        why = f'the TLS policy "{policy}" of host "{host}" on "{listener}" asks for none'
        allowed = f"write `client_auth` in [{dotted(('tls_policies', policy))}]"
    else:
        why = f'host "{host}" has no TLS policy on "{listener}"'
        allowed = f"name a `tls_policy` with `client_auth` in [{dotted(('hosts', host))}]"
    what = f"a middleware of this route asks for client certificates, and {why}"
    return Problem(("routes", route), what, allowed, "key")
