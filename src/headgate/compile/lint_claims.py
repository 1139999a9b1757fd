"""Finds claims of tokens in the access log of a config in which no middleware verifies one."""

from collections.abc import Iterable
from typing import NamedTuple

from headgate.features.log_named import CLAIM, logged_claims
from headgate.kernel.diagnostics import ConfigPath
from headgate.plan.plan import PlanEntry
from headgate.plan.settings import Settings


class Unclaimed(NamedTuple):
    """A claim that is absent from every line."""

    name: str
    at: ConfigPath


def unclaimed(node: PlanEntry | None, chained: Iterable[PlanEntry]) -> Unclaimed | None:
    """Returns the first claim of the node's log if none of these objects has a `jwt`."""
    log = node.value.access_log if node and isinstance(node.value, Settings) else None
    if log is None or not (claims := logged_claims(log)):
        return None
    if any(b'"jwt"' in entry.canonical for entry in chained):
        return None
    if log.template is not None:
        return Unclaimed(claims[0], ("access_log", "template"))
    return Unclaimed(claims[0], ("access_log", "fields", log.fields.index(CLAIM + claims[0])))
