"""Plans what templates and virtual hosts not written yet would make. Nothing is written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from headgate.master.api.problems import not_found
from headgate.master.domains.resources.types import Change
from headgate.master.domains.templates import service, store
from headgate.master.domains.templates.budget import Budget
from headgate.master.domains.templates.rendering import check
from headgate.master.domains.templates.types import NewTemplate, NewVirtualHost, VirtualHostRow
from headgate.master.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Planned:
    """The changes of objects, the templates as they would be, and the virtual hosts that would
    be."""

    changes: list[Change] = field(default_factory=list)
    templates: Mapping[str, NewTemplate] = field(default_factory=dict)
    hosts: Mapping[str, VirtualHostRow | None] = field(default_factory=dict)


async def planned(
    tx: Transaction,
    templates: Mapping[str, NewTemplate],
    hosts: Mapping[str, NewVirtualHost | None],
) -> Planned:
    """Returns what these would make; a virtual host that is None goes. Raises ProblemError with
    what is wrong with them, or if it is too much."""
    for template in templates.values():
        check(template)
    changes: list[Change] = []
    rows: dict[str, VirtualHostRow | None] = {}
    budget = Budget()
    for name, new in hosts.items():
        current = await store.find_host(tx, name)
        before: list[str] = json.loads(current.objects) if current else []
        if new is None:
            changes += service.gone(before, [])
            rows[name] = None
            continue
        body = templates.get(new.template) or await _stored(tx, new.template)
        made = service.made(body, new, f"virtual host {name}: $.values", budget)
        await service.require_free(tx, made, before)
        changes += [*made, *service.gone(before, made)]
        rows[name] = service.row_of(name, new, body, made)
    return Planned(changes, templates, rows)


async def _stored(tx: Transaction, name: str) -> NewTemplate:
    row = await store.find(tx, name)
    if row is None:
        raise not_found("template", name)
    return store.body_of(row)
