"""Finds headers in which clients send credentials, and which the access log would show."""

from collections.abc import Iterable

from headgate.compile.credentials import names_in
from headgate.features.log_named import HEADER, logged_headers
from headgate.kernel.diagnostics import ConfigPath
from headgate.model.problems import Problem
from headgate.plan.plan import PlanEntry
from headgate.plan.settings import AccessLog, Settings


def logged_credentials(entries: Iterable[PlanEntry], node: PlanEntry | None) -> list[Problem]:
    """Returns the headers of the node's log in which one of these objects takes credentials."""
    log = node.value.access_log if node and isinstance(node.value, Settings) else None
    if log is None or not (names := logged_headers(log)):
        return []
    secret = names_in(entries)
    return [_problem(log, name) for name in names if name in secret]


def _problem(log: AccessLog, name: str) -> Problem:
    field = f"{HEADER}{name}"
    at: ConfigPath = ("node", "access_log", "template")
    if log.template is None:
        at = ("node", "access_log", "fields", log.fields.index(field))
    what = f"clients send credentials in the header {name}, which lines never show"
    return Problem(at, what, "name another header")
