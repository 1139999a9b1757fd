"""Finds claims of tokens in the access log of a config in which no route verifies one."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from headgate.features.log_named import CLAIM, logged_claims
from headgate.kernel.diagnostics import ConfigPath
from headgate.plan.middleware import MiddlewareUse
from headgate.plan.objects import Host, Route
from headgate.plan.plan import PlanEntry
from headgate.plan.settings import Settings


class Unclaimed(NamedTuple):
    """A claim that is absent from every line."""

    name: str
    at: ConfigPath


def unclaimed(
    node: PlanEntry | None, middlewares: Iterable[PlanEntry], owners: Sequence[PlanEntry]
) -> Unclaimed | None:
    """Returns the first claim of the node's log if no chain of these hosts and routes has a `jwt`,
    by itself or as one of these middlewares."""
    log = node.value.access_log if node and isinstance(node.value, Settings) else None
    if log is None or not (claims := logged_claims(log)):
        return None
    if any(_verifies(one) for one in owners):
        return None
    named = {str(one.key.name) for one in middlewares if _verifies(one)}
    if any(use.use in named for one in owners for use in _chain(one)):
        return None
    if log.template is not None:
        return Unclaimed(claims[0], ("access_log", "template"))
    return Unclaimed(claims[0], ("access_log", "fields", log.fields.index(CLAIM + claims[0])))


def _verifies(one: PlanEntry) -> bool:
    return b'"jwt"' in one.canonical


def _chain(owner: PlanEntry) -> Iterable[MiddlewareUse]:
    return owner.value.middlewares if isinstance(owner.value, Host | Route) else ()
