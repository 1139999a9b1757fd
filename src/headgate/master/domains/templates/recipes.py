"""Gathers the recipes by which objects of virtual hosts get the values of nodes."""

import json
from collections.abc import Mapping
from typing import Final

from headgate.master.domains.resources.parameters import PARAMETER
from headgate.master.domains.templates import store
from headgate.master.domains.templates.node_values import RECIPES, Recipe
from headgate.master.domains.templates.planned import Planned
from headgate.master.domains.templates.types import NewTemplate, VirtualHostRow
from headgate.master.store.transaction import Transaction

_MARK: Final = b"{{"


async def recipes_of(
    tx: Transaction, contents: Mapping[str, bytes], plan: Planned | None = None
) -> dict[str, Recipe]:
    """Returns a recipe for each object of these contents that names parameters of nodes; with a
    plan as if that was written."""
    plan = plan or Planned()
    templates = dict(plan.templates)
    found: dict[str, Recipe] = {}
    stored = [one for one in await store.hosts_of_nodes(tx) if one.name not in plan.hosts]
    wanted = [one for one in plan.hosts.values() if one is not None and one.nodes is not None]
    for host in [*stored, *wanted]:
        paths = [path for path in json.loads(host.objects) if _names(contents.get(path))]
        if not paths:
            continue
        if host.template not in templates:
            row = await store.find(tx, host.template)
            if row is None:
                continue  # one that virtual hosts are made of is not removed
            templates[host.template] = store.body_of(row)
        recipe = _recipe(templates[host.template], host)
        found |= dict.fromkeys(paths, recipe)
    return found


def encoded(recipes: Mapping[str, Recipe]) -> str | None:
    """Returns recipes as a revision keeps them; None without any."""
    return RECIPES.dump_json(dict(recipes)).decode() if recipes else None


def decoded(text: str | None) -> dict[str, Recipe]:
    """Returns the recipes of a revision."""
    return RECIPES.validate_json(text) if text else {}


def _recipe(template: NewTemplate, host: VirtualHostRow) -> Recipe:
    own = {name: one for name, one in template.parameters.items() if one.per_node}
    common = json.loads(host.given)
    return Recipe(
        template=host.template,
        host=host.name,
        file=template.source.file if template.source else "",
        lines=template.source.lines if template.source else lines_of(template),
        parameters=own,
        common={name: value for name, value in common.items() if name in own},
        nodes=json.loads(host.nodes or "{}"),
    )


def lines_of(template: NewTemplate) -> dict[str, int]:
    """Returns where the objects name each parameter first: the line of a template's parameters and
    objects as JSON with two spaces."""
    shown = template.model_dump(mode="json", include={"parameters", "objects"})
    found: dict[str, int] = {}
    text = json.dumps(shown, indent=2, ensure_ascii=False)
    for number, line in enumerate(text.splitlines(), 1):
        for name in PARAMETER.findall(line):
            found.setdefault(name, number)
    return found


def _names(content: bytes | None) -> bool:
    return content is not None and _MARK in content
