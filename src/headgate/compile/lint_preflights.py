"""Finds chains in which browsers' preflights need credentials, which they never have."""

from collections.abc import Iterable, Iterator, Mapping

from headgate.features.nodes import node_of
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.ids import ObjectName
from headgate.plan.middleware import MiddlewareUse, Step
from headgate.plan.objects import Host, Route
from headgate.plan.plan import PlanEntry


def late_preflights(
    owners: Iterable[PlanEntry], named: Mapping[ObjectName, PlanEntry]
) -> Iterator[tuple[PlanEntry, ConfigPath, str]]:
    """Yields the owner and the place of each middleware that answers preflights too late, and the
    kind of the one before it that wants credentials.
    """
    for owner in owners:
        if isinstance(owner.value, Host | Route):
            for index, kind in _late(owner.value.middlewares, named):
                yield owner, ("middlewares", index), kind


def _late(
    uses: Iterable[MiddlewareUse], named: Mapping[ObjectName, PlanEntry]
) -> Iterator[tuple[int, str]]:
    before = ""
    for index, use in enumerate(uses):
        entry = named.get(ObjectName(use.use)) if use.use else None
        step = entry.value if entry is not None else use
        node = node_of(step) if isinstance(step, Step) else None
        if node is None:
            continue
        if node.answers_preflights and before:
            yield index, before
        if node.wants_credentials and isinstance(step, Step):
            before = before or step.kind
