"""Finds what names claims of a token in a place where no token was verified."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from headgate.features.nodes import node_of
from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.ids import ObjectName
from headgate.model.problems import Problem
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.middleware import MiddlewareUse, Respond, Step
from headgate.plan.node import plain_text
from headgate.plan.objects import Host, Route
from headgate.plan.plan import PlanEntry

Objects = Mapping[ObjectKey, PlanEntry]
Entries = Callable[[Kind], list[PlanEntry]]
"""The plan objects of a kind, by name."""

_MARK: Final = b"jwt:"
_CLAIM: Final = re.compile(rb'(?<!\$)(?:\$\$)*\$\{jwt:([^}]+)\}|"jwt:([^"]+)"')


def may_name(plan: PlanEntry | None) -> bool:
    """Reports whether an object may name a claim."""
    return plan is not None and _MARK in plan.canonical


def unclaimed(entries: Entries, objects: Objects, naming: Iterable[PlanEntry]) -> list[Problem]:
    """Returns routes of which something names a claim, and no `jwt` stands before it.

    `naming` are the objects that may name one; without any, no route is looked at.
    """
    if not any(may_name(one) for one in naming):
        return []
    found: list[Problem] = []
    for one in entries("route"):
        if isinstance(one.value, Route):
            found += _problems(str(one.key.name), one.value, objects)
    return found


class _Place(NamedTuple):
    """A middleware, or the action of a route, and where it is written."""

    at: ConfigPath
    step: object


def _places(name: str, route: Route, host: str, objects: Objects) -> list[_Place]:
    owner = objects.get(ObjectKey("host", ObjectName(host)))
    before = owner.value.middlewares if owner and isinstance(owner.value, Host) else ()
    action = route.action.respond or route.action.redirect
    key = "respond" if route.action.respond else "redirect"
    return [
        *_Uses(("hosts", host), objects).places(before),
        *_Uses(("routes", name), objects).places(route.middlewares),
        *([_Place(("routes", name, key), action)] if action else []),
    ]


class _Uses(NamedTuple):
    owner: ConfigPath
    objects: Objects

    def places(self, uses: Iterable[MiddlewareUse]) -> Iterable[_Place]:
        """Yields the middlewares of a chain."""
        for index, use in enumerate(uses):
            named = self.objects.get(ObjectKey("middleware", ObjectName(use.use or "")))
            step = named.value if use.use and named else use
            yield _Place((*self.owner, "middlewares", index), step)


def _problems(name: str, route: Route, objects: Objects) -> list[Problem]:
    found: dict[ConfigPath, Problem] = {}
    for host in route.hosts:
        for at, step in _places(name, route, host, objects):
            node = node_of(step) if isinstance(step, Step) else None
            # A `jwt` that has no keys yet is an answer, too: nothing after it is reached.
            if node is not None and (node.gives_claims or isinstance(node, Respond)):
                break
            claim = _named(step)
            if claim:
                what = f'"jwt:{claim}" has no value here: no token was verified before'
                # Of the route, whatever chain it is in: a host alone is not wrong.
                path = at if at[0] == "routes" else ("routes", name)
                found.setdefault(path, Problem(path, what, "put a `jwt` before it in the chain"))
    return list(found.values())


def _named(step: object) -> str | None:
    value = step.canonical() if isinstance(step, Step) else step
    text = msgspec.json.encode(value, enc_hook=plain_text)
    claim = _CLAIM.search(text)
    return (claim[1] or claim[2]).decode() if claim else None
