"""Finds chains in which browsers' preflights need credentials, which they never have."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from headgate.features.nodes import node_of
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.ids import ObjectName
from headgate.plan.middleware import MiddlewareUse, Step
from headgate.plan.objects import Host, Route
from headgate.plan.plan import PlanEntry

_Named = Mapping[ObjectName, PlanEntry]
"""The middlewares that have a name."""


class Late(NamedTuple):
    """A middleware that answers preflights too late."""

    owner: PlanEntry
    at: ConfigPath
    kind: str
    """The middleware before it that wants credentials."""
    host: str
    """The host in whose chain that one is; empty if it is in the same chain."""


def late_preflights(
    hosts: Iterable[PlanEntry], routes: Iterable[PlanEntry], named: _Named
) -> Iterator[Late]:
    """Yields each middleware of these hosts and routes that answers preflights too late."""
    of_hosts: dict[str, _Chain] = {}
    for owner in hosts:
        if isinstance(owner.value, Host):
            own = of_hosts[owner.key.name] = _chain(owner.value.middlewares, named)
            if own.answering is not None and own.wanting:
                yield Late(owner, ("middlewares", own.answering), own.wanting, "")
    for owner in routes:
        if not isinstance(owner.value, Route):
            continue
        own = _chain(owner.value.middlewares, named)
        if own.answering is None:
            continue
        kind, host = own.wanting, ""
        if not kind:
            above = ((name, of_hosts.get(name, _NONE)) for name in owner.value.hosts)
            wanting = ((one.wanting, name) for name, one in above if one.answering is None)
            kind, host = next((pair for pair in wanting if pair[0]), ("", ""))
        if kind:
            yield Late(owner, ("middlewares", own.answering), kind, host)


class _Chain(NamedTuple):
    """A list of middlewares, as preflights meet it."""

    answering: int | None = None
    """The first one that answers them; none gets further."""
    wanting: str = ""
    """The kind of the first one before it that wants credentials."""


_NONE = _Chain()


def _chain(uses: Iterable[MiddlewareUse], named: _Named) -> _Chain:
    wanting = ""
    for index, use in enumerate(uses):
        entry = named.get(ObjectName(use.use)) if use.use else None
        step = entry.value if entry is not None else use
        node = node_of(step) if isinstance(step, Step) else None
        if node is None:
            continue
        if node.answers_preflights:
            return _Chain(index, wanting)
        if node.wants_credentials and isinstance(step, Step):
            wanting = wanting or step.kind
    return _Chain(None, wanting)
