"""Finds what the objects of a plan name."""

from collections.abc import Iterable, Iterator

from headgate.features.nodes import node_of
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.middleware import Middleware, MiddlewareUse, Step
from headgate.plan.objects import Host, Listener, Route, Upstream
from headgate.plan.plan import PlanEntry
from headgate.plan.tcp import TcpRoute
from headgate.plan.udp import UdpRoute


def references(entry_: PlanEntry) -> Iterator[ObjectKey]:
    """Yields what an object of a plan names."""
    value = entry_.value
    if isinstance(value, Listener) and value.tls is not None:
        yield from _keys("tls_policy", value.tls.policy)
        yield from _keys("certificate", value.tls.default_certificate)
    elif isinstance(value, Host):
        yield from _keys("certificate", *value.certificates)
        yield from _keys("tls_policy", value.tls_policy)
        yield from _keys("middleware", *_names(value.middlewares))
        yield from _keys("upstream", *_asked(value.middlewares))
    elif isinstance(value, Middleware):
        yield from _keys("upstream", *_asked((value,)))
    elif isinstance(value, Upstream) and value.tls is not None:
        yield from _keys("certificate", value.tls.client_certificate)
    elif isinstance(value, Route):
        yield from _keys("listener", *value.listeners)
        yield from _keys("middleware", *_names(value.middlewares))
        yield from _keys("upstream", *_asked(value.middlewares))
        yield from _keys("upstream", value.action.upstream)
        yield from _keys("upstream", *(part.upstream for part in value.action.split or ()))
        yield from _keys("upstream", *(mirror.upstream for mirror in value.mirrors))
    elif isinstance(value, TcpRoute | UdpRoute):
        yield from _keys("listener", *value.listeners)
        yield from _keys("upstream", *(part.upstream for part in value.parts))


def _keys(kind: Kind, *names: str | None) -> Iterator[ObjectKey]:
    for name in names:
        if name is not None:
            yield ObjectKey(kind, ObjectName(name))


def _names(uses: Iterable[MiddlewareUse]) -> Iterator[str | None]:
    return (use.use for use in uses)


def _asked(steps: Iterable[Step]) -> Iterator[str]:
    """Yields the upstreams that middlewares ask themselves."""
    for step in steps:
        node = node_of(step)
        yield from (name for _, name in node.upstreams) if node is not None else ()
