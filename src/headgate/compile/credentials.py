"""The places where clients send credentials, by the middlewares of a plan; pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from headgate.features.base import AnyMiddlewareNode
from headgate.features.log_named import logged_headers
from headgate.features.nodes import node_of
from headgate.features.registry import MIDDLEWARES
from headgate.plan.kinds import SETTINGS_NAME, ObjectKey
from headgate.plan.middleware import Made, Step
from headgate.plan.objects import Host, Route
from headgate.plan.plan import Plan, PlanEntry, entry
from headgate.plan.settings import Redaction, Settings

_LOGGED: Final = ("referer", "user-agent")
"""Headers whose values are in every log."""
_MARKS: Final = tuple(
    f'"{feature.key}":'.encode()
    for feature in MIDDLEWARES
    if feature.node.credential_names is not Made.credential_names
)
"""The marks in the bytes of an object that asks for credentials."""


def credential_names(plan: Plan) -> frozenset[str]:
    """Returns the headers (in lower case) and parameters of a query that carry credentials.

    `authorization` and cookies, which always may, are not among them.
    """
    return frozenset(
        name for node in _nodes(plan.objects.values()) for name in node.credential_names
    )


def names_in(entries: Iterable[PlanEntry]) -> frozenset[str]:
    """Returns the same of some objects, which it looks through if their bytes ask for any."""
    asking = (one for one in entries if _may_ask(one))
    return frozenset(name for node in _nodes(asking) for name in node.credential_names)


def hidden_parameters(plan: Plan) -> tuple[str, ...]:
    """Returns the parameters of a query whose values logs do not show."""
    found = plan.objects.get(ObjectKey("settings", SETTINGS_NAME))
    return found.value.redaction.query if found and isinstance(found.value, Settings) else ()


class Asking:
    """The objects of a plan that ask for credentials; the settings hide what these ask for."""

    def __init__(self) -> None:
        self._asking: dict[ObjectKey, PlanEntry] = {}

    def take(self, changes: Mapping[ObjectKey, PlanEntry | None]) -> None:
        """Takes what was put (or deleted, where it is None)."""
        for key, new in changes.items():
            if new is not None and _may_ask(new):
                self._asking[key] = new
            else:
                self._asking.pop(key, None)

    def hide(self, settings: PlanEntry) -> PlanEntry:
        """Returns the settings with all parameters and headers hidden that carry credentials."""
        nodes = list(_nodes(self._asking.values()))
        if not nodes or not isinstance(settings.value, Settings):
            return settings
        before = settings.value.redaction
        query = {name.lower() for node in nodes for name in node.credential_parameters}
        shown = {*_LOGGED, *logged_headers(settings.value.access_log)}
        headers = {name for node in nodes for name in node.credential_names if name in shown}
        made = Redaction(
            tuple(sorted(query.union(before.query))), tuple(sorted(headers.union(before.headers)))
        )
        if made == before:
            return settings
        value = msgspec.structs.replace(settings.value, redaction=made)
        return entry("settings", settings.key.name, value, settings.blobs)


def _may_ask(one: PlanEntry) -> bool:
    return any(mark in one.canonical for mark in _MARKS)


def _nodes(entries: Iterable[PlanEntry]) -> Iterator[AnyMiddlewareNode]:
    for one in entries:
        value = one.value
        steps = value.middlewares if isinstance(value, Host | Route) else (value,)
        for step in steps:
            node = node_of(step) if isinstance(step, Step) else None
            if node is not None:
                yield node
