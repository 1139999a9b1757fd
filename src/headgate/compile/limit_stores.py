"""Finds limits across nodes where no store is configured."""

from collections.abc import Iterable

from headgate.features.nodes import node_of
from headgate.kernel.diagnostics import ConfigPath
from headgate.model.config import SECTION_OF, SECTIONS
from headgate.model.problems import Problem
from headgate.plan.middleware import Middleware, Step
from headgate.plan.objects import Host, Route
from headgate.plan.plan import PlanEntry
from headgate.plan.settings import Settings

_MARK = b'"across":"nodes"'


def may_share(plan: PlanEntry | None) -> bool:
    """Reports whether a limit of an object may need the store."""
    return plan is not None and _MARK in plan.canonical


def without_store(checked: Iterable[PlanEntry], node: PlanEntry | None) -> list[Problem]:
    """Returns the limits of these objects that need a store, if the node's settings have none."""
    found: list[Problem] = []
    if node is None or not isinstance(node.value, Settings) or node.value.limit_store is not None:
        return found
    for one in checked:
        if not may_share(one):
            continue
        at: ConfigPath = (SECTIONS[SECTION_OF[one.key.kind]].key, str(one.key.name))
        if isinstance(one.value, Middleware):
            found += _problem(at, one.value)
        elif isinstance(one.value, Host | Route):
            for index, use in enumerate(one.value.middlewares):
                found += _problem((*at, "middlewares", index), use)
    return found


def _problem(at: ConfigPath, step: Step) -> list[Problem]:
    node = node_of(step)
    if node is None or not node.needs_limit_store:
        return []
    what = "no store is configured that nodes could share a limit through"
    path = (*at, step.kind, "across")
    return [Problem(path, what, 'define [node.limit_store], or write across = "node"')]
