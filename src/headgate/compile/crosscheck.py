"""Makes the checks that need several objects: references, addresses, raw paths,
hedges, mirrors.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from headgate.compile.resolved import Ref
from headgate.compile.unit import Unit
from headgate.features.nodes import node_of
from headgate.kernel.diagnostics import dotted
from headgate.kernel.ids import ObjectName
from headgate.kernel.nearest import nearest
from headgate.model.config import SECTION_OF, SECTIONS
from headgate.model.problems import Problem
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.middleware import Made, Step
from headgate.plan.objects import Host, Route, Upstream
from headgate.plan.plan import PlanEntry

Names = Mapping[Kind, Collection[str]]
"""The names that are defined, whether or not their definitions have errors."""

_MOST_MEANT: Final = 50


class Meant:
    """The defined names that unknown ones were meant as: of the first 50 unknown names alone, since
    each is compared with all that are defined, and a mistake of a program is in thousands.
    """

    def __init__(self, names: Names) -> None:
        self.names = names
        self._found: dict[tuple[Kind, str], str | None] = {}

    def by(self, kind: Kind, name: str) -> str | None:
        """Returns the name that this one was meant as; None if that is not known."""
        key = (kind, name)
        if key not in self._found:
            if len(self._found) == _MOST_MEANT:
                return None
            self._found[key] = nearest(name, self.names[kind])
        return self._found[key]


def dangling(unit: Unit, key: str, meant: Meant) -> list[tuple[Ref, Problem]]:
    """Returns references of a unit to objects that are not defined."""
    out: list[tuple[Ref, Problem]] = []
    for ref in unit.refs:
        if ref.name not in meant.names[ref.kind]:
            path = (unit.section.key, key, *ref.path)
            out.append((ref, _unknown(path, ref.kind, ref.name, meant)))
    return out


def _unknown(path: tuple[str | int, ...], kind: Kind, name: str, meant: Meant) -> Problem:
    section = SECTIONS[SECTION_OF[kind]]
    if not name:
        return Problem(path, "the name is empty", f"write the name of a {section.noun}")
    near = meant.by(kind, name)
    defined = f"define [{dotted((section.key, name))}]"
    allowed = f'write "{near}", or {defined}' if near else defined
    return Problem(path, f'there is no {section.noun} "{name}"', allowed)


def taken_twice(
    listeners: Iterable[tuple[str, Iterable[tuple[int, str]]]], others: Mapping[str, str]
) -> list[Problem]:
    """Returns addresses that two listeners use, or a listener and another part of the node.

    `listeners` are names with addresses and their indexes; `others` maps each of the node's own
    addresses to the key that sets it.
    """
    out: list[Problem] = []
    taken: dict[str, str] = dict(others)
    for name, addresses in listeners:
        for index, address in addresses:
            by = taken.setdefault(address, f'listener "{name}"')
            if by != f'listener "{name}"':
                path = ("listeners", name, "address", index)
                what = f'{by} already has the address "{address}"'
                out.append(Problem(path, what, "write another address or port"))
    return out


def raw_paths(routes: Iterable[PlanEntry], objects: Mapping[ObjectKey, PlanEntry]) -> list[Problem]:
    """Returns routes that forward the raw path though a middleware rewrites or judges the path."""
    out: list[Problem] = []
    for entry in routes:
        route = entry.value
        if not isinstance(route, Route) or not route.forward_raw_path:
            continue
        nodes = _nodes(route, objects)
        if any(node.rewrites_path for node in nodes):
            does, remedy = "rewrites the path", "remove the rewrite from the route or its hosts"
        elif any(node.judges_path for node in nodes):
            does, remedy = "judges the normalised path", "take it from the route or its hosts"
        else:
            continue
        at = ("routes", entry.key.name, "forward_path")
        what = f"a middleware {does}, so the raw path cannot be forwarded"
        out.append(Problem(at, what, f'write "normalised", or {remedy}'))
    return out


def hedged_over_http2(
    routes: Iterable[PlanEntry], objects: Mapping[ObjectKey, PlanEntry]
) -> list[Problem]:
    """Returns routes that hedge although endpoints of theirs may speak HTTP/2."""
    out: list[Problem] = []
    for entry in routes:
        route = entry.value
        if not isinstance(route, Route) or route.retry is None or route.retry.hedge is None:
            continue
        for name in _upstreams(route):
            found = objects.get(ObjectKey("upstream", ObjectName(name)))
            target = found.value if found is not None else None
            if isinstance(target, Upstream) and target.protocol != "http1":
                out.append(
                    Problem(
                        ("routes", entry.key.name, "retry", "hedge"),
                        f'upstream "{name}" speaks "{target.protocol}", and only requests over '
                        "HTTP/1.1 are hedged",
                        'leave `hedge` out, or write protocol = "http1" in the upstream',
                    )
                )
    return out


def mirrored_to_itself(routes: Iterable[PlanEntry]) -> list[Problem]:
    """Returns routes whose copies would go to an upstream that answers their requests."""
    out: list[Problem] = []
    for entry in routes:
        route = entry.value
        if not isinstance(route, Route) or not route.mirrors:
            continue
        own = _upstreams(route)
        for index, mirror in enumerate(route.mirrors):
            if mirror.upstream in own:
                at = ("routes", entry.key.name, "mirror", index, "upstream")
                what = f'upstream "{mirror.upstream}" answers requests of the route itself'
                out.append(Problem(at, what, "write an upstream that gets nothing but copies"))
    return out


def _upstreams(route: Route) -> Iterable[str]:
    if route.action.upstream is not None:
        return (route.action.upstream,)
    return [part.upstream for part in route.action.split or ()]


def _nodes(route: Route, objects: Mapping[ObjectKey, PlanEntry]) -> list[Made]:
    """Returns the middlewares of a route and of its hosts."""
    uses = list(route.middlewares)
    for name in route.hosts:
        host = objects.get(ObjectKey("host", ObjectName(name)))
        value = host.value if host is not None else None
        if isinstance(value, Host):
            uses += value.middlewares
    nodes: list[Made] = []
    for use in uses:
        named = objects.get(ObjectKey("middleware", ObjectName(use.use))) if use.use else None
        step = named.value if named else use
        if isinstance(step, Step) and (node := node_of(step)) is not None:
            nodes.append(node)
    return nodes
