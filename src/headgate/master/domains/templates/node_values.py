"""Puts the values of nodes into the objects of virtual hosts. Pure.

A revision holds the objects with the parameters named, and a recipe for each of them; what a node
gets follows from these and from its own name and labels.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pydantic import TypeAdapter

from headgate.fleet.manifest import resource_bytes
from headgate.master.api.problems import Fault
from headgate.master.api.types import View
from headgate.master.domains.resources.parameters import PARAMETER
from headgate.master.domains.templates.budget import Budget
from headgate.master.domains.templates.rendering import put_in, wrong_with
from headgate.master.domains.templates.types import Parameter, Value

MOST_NODES: Final = 10_000
"""Nodes of a fleet whose objects have values of nodes: a revision has a manifest of each."""
_CONFIGS: Final = 1_000
_OBJECTS: Final = 200_000
"""So many configs that differ may be made and checked at once, or more that are small: the objects
of all count."""
_MOST_SIZE: Final = 256 << 20
"""So many bytes of objects may all configs that differ have."""
_NAMED: Final = 10
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")

Contents = Mapping[str, bytes]


class Node(NamedTuple):
    """An agent, as far as its values are concerned."""

    id: str
    name: str
    labels: Mapping[str, str]


class Recipe(View):
    """The way in which an object of a virtual host gets the values of a node."""

    template: str
    host: str
    file: str
    lines: dict[str, int]
    """The line at which the template's objects first name each parameter."""
    parameters: dict[str, Parameter]
    """Those of nodes."""
    common: dict[str, Value]
    """The values that the virtual host gives for all nodes."""
    nodes: dict[str, dict[str, Value]]

    def value(self, name: str, node: Node) -> "Value | None":
        """Returns a node's value of a parameter; None if it has none. It may be a wrong one."""
        parameter = self.parameters[name]
        for key in (node.id, node.name):
            if name in self.nodes.get(key, {}):
                return self.nodes[key][name]
        if (label := node.labels.get(parameter.label_of(name))) is not None:
            return _typed(parameter, label)
        return self.common.get(name, parameter.default)


RECIPES: Final = TypeAdapter(dict[str, Recipe])
"""The recipes of a revision, by the path of the object."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The contents that one or several nodes get."""

    contents: Contents
    nodes: list[Node]
    values: dict[str, dict[str, Value]] = field(default_factory=dict)
    """By virtual host and parameter."""


class _Gap(NamedTuple):
    """A parameter without a value that can be used."""

    path: str
    name: str
    why: str
    allowed: str


def variants(
    contents: Contents, recipes: Mapping[str, Recipe], nodes: Sequence[Node]
) -> tuple[list[Variant], list[Fault]]:
    """Returns what the nodes get, those together that get the same, and what is missing or wrong;
    a node of which something is missing is in no variant. More configs than fit
    (`_CONFIGS`, `_OBJECTS`, `_MOST_SIZE`) are wrong, and are not made."""
    most = max(_CONFIGS, _OBJECTS // max(1, len(contents)))
    gaps: dict[_Gap, list[str]] = defaultdict(list)
    found: dict[tuple[bytes, ...], Variant] = {}
    size = 0
    paths = sorted(path for path in recipes if path in contents)
    for node in nodes:
        made, values, wrong = _of_node(contents, recipes, node)
        for one in wrong:
            gaps[one].append(node.name)
        if wrong:
            continue
        key = tuple(made[path] for path in paths)
        if key not in found:
            size += sum(map(len, key))
            if len(found) >= most:
                return [], [_refused(f"more than {most} different configs")]
            if size > _MOST_SIZE:
                return [], [_refused(f"more than {_MOST_SIZE >> 20} MiB of objects of their own")]
            found[key] = Variant(dict(contents) | made, [], values)
        found[key].nodes.append(node)
    return list(found.values()), [_fault(recipes[gap.path], gap, gaps[gap]) for gap in gaps]


def _refused(what: str) -> Fault:
    return Fault(
        path="virtual_hosts",
        detail=f"the nodes of the fleet would get {what}",
        allowed="make several fleets, send them fewer objects, or give nodes the same values",
    )


def _of_node(
    contents: Contents, recipes: Mapping[str, Recipe], node: Node
) -> tuple[dict[str, bytes], dict[str, dict[str, Value]], list[_Gap]]:
    made: dict[str, bytes] = {}
    used: dict[str, dict[str, Value]] = {}
    wrong: list[_Gap] = []
    budget = Budget(_MOST_SIZE)
    for path, recipe in recipes.items():
        if path not in contents:
            continue
        spec = json.loads(contents[path])
        values: dict[str, Value] = {}
        for name in dict.fromkeys(_named(spec)):
            value = _checked(recipe, name, node, path)
            if isinstance(value, _Gap):
                wrong.append(value)
            else:
                values[name] = value
        if not wrong:
            made[path] = resource_bytes(put_in(spec, values, budget))
            used.setdefault(recipe.host, {}).update(values)
    return made, used, wrong


def _checked(recipe: Recipe, name: str, node: Node, path: str) -> "Value | _Gap":
    if name not in recipe.parameters:
        why = f'"{name}" is not a parameter of nodes of the template any more'
        return _Gap(path, name, why, "publish the draft of the template")
    value = recipe.value(name, node)
    parameter = recipe.parameters[name]
    if value is None:
        allowed = (
            f"write it in `nodes` of the virtual host {recipe.host}, as the label"
            f" `{parameter.label_of(name)}` of each node, or as a default"
        )
        return _Gap(path, name, f'the parameter "{name}" has no value', allowed)
    wrong = wrong_with(parameter, value)
    if wrong is None:
        return value
    return _Gap(path, name, f'the parameter "{name}" has a wrong value: {wrong[0]}', wrong[1])


def _fault(recipe: Recipe, gap: _Gap, nodes: list[str]) -> Fault:
    line = recipe.lines.get(gap.name)
    place = f"{recipe.file}:{line}: " if recipe.file and line else f"line {line}: " if line else ""
    shown = sorted(nodes)
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    which = ", ".join(shown[:_NAMED]) + more
    return Fault(
        path=f"templates.{recipe.template}: {place}{gap.path}",
        detail=f"{gap.why} for the nodes {which}" if len(shown) > 1 else f"{gap.why} for {which}",
        allowed=gap.allowed,
    )


def _named(node: object) -> Iterator[str]:
    """Yields the parameters that the texts of a spec name."""
    if isinstance(node, dict):
        for one in node.values():
            yield from _named(one)
    elif isinstance(node, list):
        for one in node:
            yield from _named(one)
    elif isinstance(node, str):
        yield from PARAMETER.findall(node)


def _typed(parameter: Parameter, label: str) -> Value:
    """Returns a label's text as the parameter's type; unchanged if it is none."""
    if parameter.type == "integer" and _INTEGER.fullmatch(label):
        return int(label)
    if parameter.type == "boolean" and label in {"true", "false"}:
        return label == "true"
    return label
