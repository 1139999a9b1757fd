"""The rules of templates and virtual hosts."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from headgate.fleet.manifest import resource_bytes, resource_of, resource_path
from headgate.master.access import Caller
from headgate.master.api.expecting import Expected
from headgate.master.api.problems import Fault, ProblemError, invalid, not_found, stale, taken
from headgate.master.domains.drafts import service as drafts
from headgate.master.domains.drafts import store as draft_store
from headgate.master.domains.drafts.types import NewDraft
from headgate.master.domains.resources import service as resources
from headgate.master.domains.resources import store as resource_store
from headgate.master.domains.resources.set_names import DEFAULT_SET
from headgate.master.domains.resources.sets import Claim, faults, require_own
from headgate.master.domains.resources.types import Change, InSet
from headgate.master.domains.templates import store
from headgate.master.domains.templates.budget import Budget
from headgate.master.domains.templates.rendering import (
    check,
    check_nodes,
    rendered,
    values_of,
)
from headgate.master.domains.templates.types import (
    NewTemplate,
    NewVirtualHost,
    PutTemplate,
    Template,
    TemplateRow,
    VirtualHost,
    VirtualHostRow,
)
from headgate.master.ids import new_id
from headgate.master.store.errors import TakenError
from headgate.master.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Writing:
    """A write of a named object: by whom, when, for which one of that name, and of which set."""

    name: str
    by: Caller
    now_ms: int
    expected: Expected
    own: InSet = field(default_factory=InSet)


async def put(tx: Transaction, new: NewTemplate, writing: Writing) -> PutTemplate:
    """Writes a template; what its virtual hosts would become is a draft, and nothing else."""
    check(new)
    current = await store.find(tx, writing.name)
    _require_own("templates", writing, current)
    if not writing.expected.fits(current):
        raise _unexpected("template", writing, None if current is None else store.shown(current))
    row = TemplateRow(
        id=current.id if current else new_id(writing.now_ms),
        version=current.version + 1 if current else 1,
        name=writing.name,
        body=new.model_dump_json(),
        set_name=writing.own.set,
        changed_at=writing.now_ms,
    )
    if current is None:
        try:
            await store.insert(tx, row)
        except TakenError:
            raise taken("template", writing.name) from None
        return PutTemplate(**store.shown(row).model_dump(), draft=None)
    if not await store.put(tx, row):
        raise _stale(current)
    draft = await _taken_along(tx, new, current, writing)
    return PutTemplate(**store.shown(row).model_dump(), draft=draft)


async def remove(tx: Transaction, writing: Writing) -> None:
    """Removes a template that no virtual host is made of."""
    name = writing.name
    row = await store.find(tx, name)
    if row is None:
        raise not_found("template", name)
    _require_own("templates", writing, row)
    made = await store.hosts(tx, name)
    if made:
        raise ProblemError(
            409,
            "not-empty",
            f'virtual hosts are made of "{name}" ({len(made)}); remove them first',
        )
    if not writing.expected.fits(row) or not await store.remove(tx, row):
        raise _stale(row)


async def put_host(tx: Transaction, new: NewVirtualHost, writing: Writing) -> VirtualHost:
    """Writes a virtual host with its resources; those that it has no more are removed."""
    template = await store.find(tx, new.template)
    if template is None:
        raise not_found("template", new.template)
    current = await store.find_host(tx, writing.name)
    _require_own("virtual_hosts", writing, current)
    if not writing.expected.fits(current):
        shown = None if current is None else store.shown_host(current)
        raise _unexpected("virtual host", writing, shown)
    body = store.body_of(template)
    changes = made(body, new, "$.values", Budget())
    before: list[str] = json.loads(current.objects) if current else []
    await require_free(tx, changes, before)
    if current is not None:
        await _superseded(tx, current, [*before, *map(_path, changes)], writing)
    for change in in_set([*changes, *gone(before, changes)], writing.own):
        if change.spec is not None or await resources.exists(tx, change):
            await resources.write(tx, change, writing.by, writing.now_ms)
    row = row_of(writing.name, new, body, changes).model_copy(
        update={
            "id": current.id if current else new_id(writing.now_ms),
            "version": current.version + 1 if current else 1,
            "set_name": writing.own.set,
            "changed_at": writing.now_ms,
        }
    )
    try:
        if current is None:
            await store.insert_host(tx, row)
        elif not await store.put_host(tx, row):
            raise _stale_host(current)
    except TakenError:
        raise taken("virtual host", writing.name) from None
    return store.shown_host(row)


def row_of(
    name: str, new: NewVirtualHost, template: NewTemplate, changes: Iterable[Change]
) -> VirtualHostRow:
    """Returns the row of a virtual host that makes these objects, without an id, in the default
    set."""
    return VirtualHostRow(
        id="",
        version=0,
        name=name,
        template=new.template,
        given=json.dumps(new.values, sort_keys=True),
        fleets=resources.selector(new.fleets),
        nodes=json.dumps(new.nodes, sort_keys=True) if _has_nodes(template) else None,
        objects=json.dumps(sorted(map(_path, changes))),
        set_name=DEFAULT_SET,
        changed_at=0,
    )


async def remove_host(tx: Transaction, writing: Writing) -> None:
    """Removes a virtual host with its resources."""
    row = await store.find_host(tx, writing.name)
    if row is None:
        raise not_found("virtual host", writing.name)
    _require_own("virtual_hosts", writing, row)
    if not writing.expected.fits(row):
        raise _stale_host(row)
    before: list[str] = json.loads(row.objects)
    await _superseded(tx, row, before, writing)
    for change in in_set(gone(before, []), writing.own):
        if await resources.exists(tx, change):
            await resources.write(tx, change, writing.by, writing.now_ms)
    if not await store.remove_host(tx, row):
        raise _stale_host(row)


async def _taken_along(
    tx: Transaction, new: NewTemplate, before_it: TemplateRow, writing: Writing
) -> str | None:
    """Makes the draft with what a template's virtual hosts become; returns its name. These get a
    newer version, unless the template only stands elsewhere."""
    is_same = store.body_of(before_it).model_copy(update={"source": new.source}) == new
    there = {row.path: row.spec.encode() for row in await resource_store.every(tx)}
    changes: list[Change] = []
    budget = Budget()
    for host in await store.hosts(tx, before_it.name):
        said = NewVirtualHost(
            template=host.template,
            values=json.loads(host.given),
            fleets=json.loads(host.fleets),
            nodes=json.loads(host.nodes or "{}"),
        )
        # What stays as it is counts for this one alone: it is not kept until the end.
        found = made(new, said, f"virtual host {host.name}: $.values", Budget())
        before: list[str] = json.loads(host.objects)
        await require_free(tx, found, before)
        written = _differing(found, there, budget)
        removed = [one for one in gone(before, found) if _path(one) in there]
        for _ in removed:
            budget.take_object()
        changes += in_set([*written, *removed], InSet(set=host.set_name))
        # What an earlier draft would have made and nobody published is nowhere.
        linked = sorted({*(path for path in before if path in there), *map(_path, found)})
        linked_now = {
            "objects": json.dumps(linked),
            # What is published now may still name what the template had.
            "nodes": host.nodes or ("{}" if _has_nodes(new) else None),
        }
        if is_same and linked_now == {"objects": host.objects, "nodes": host.nodes}:
            continue
        later = {"version": host.version + 1, "changed_at": writing.now_ms}
        after = host.model_copy(update=linked_now | later)
        if not await store.put_host(tx, after):
            raise _stale_host(host)
    return await _drafted(tx, _draft_of(before_it.name), changes, writing)


def _draft_of(template: str) -> str:
    return f"template-{template}"[:63].rstrip("-")


async def _superseded(
    tx: Transaction, host: VirtualHostRow, paths: Collection[str], writing: Writing
) -> None:
    """Takes a virtual host that is written or removed out of the draft of its template, which has
    what it would have become before."""
    await drafts.leave_out(tx, _draft_of(host.template), paths, writing.now_ms)


def _differing(found: Iterable[Change], there: Mapping[str, bytes], budget: Budget) -> list[Change]:
    """Returns the objects that are not there, or not as they are now."""
    differing = []
    for one in found:
        content = resource_bytes(one.spec)
        if content != there.get(_path(one)):
            budget.take_object()
            budget.take(len(content))
            differing.append(one)
    return differing


async def _drafted(
    tx: Transaction, name: str, changes: list[Change], writing: Writing
) -> str | None:
    before = await draft_store.find(tx, name, is_locked=True)
    if not changes:
        if before is not None:
            await draft_store.remove(tx, before.id)
        return None
    new = NewDraft(name=name, changes=drafts.checked(changes))
    if before is None:
        await drafts.create(tx, new, writing.by, writing.now_ms)
    else:
        await drafts.replace(tx, new, before, writing.by, writing.now_ms)
    return name


def made(template: NewTemplate, host: NewVirtualHost, at: str, budget: Budget) -> list[Change]:
    """Returns the objects of a virtual host; raises ProblemError for one that is wrong, or if they
    are too much."""
    check_nodes(template, host.nodes)
    changes = rendered(template, values_of(template, host.values, at), host.fleets, budget)
    seen: set[str] = set()
    for index, change in enumerate(changes):
        resources.checked(change, f"$.objects[{index}]")
        if _path(change) in seen:
            raise invalid(f"$.objects[{index}].name", f"{_path(change)} is here twice")
        seen.add(_path(change))
    return changes


def _has_nodes(template: NewTemplate) -> bool:
    return any(one.per_node for one in template.parameters.values())


async def require_free(tx: Transaction, changes: Iterable[Change], own: list[str]) -> None:
    """Raises ProblemError if an object is there already and not of this virtual host."""
    for change in changes:
        if _path(change) not in own and await resources.exists(tx, change):
            raise taken(change.kind, change.name)


def in_set(changes: Iterable[Change], own: InSet) -> list[Change]:
    """Returns the changes as those of a set."""
    said = {"set": own.set, "take_over": own.take_over}
    return [one.model_copy(update=said) for one in changes]


async def set_faults(
    tx: Transaction, templates: Iterable[str], hosts: Iterable[str], own: InSet
) -> list[Fault]:
    """Returns what refuses writes of a set to those of these templates and virtual hosts that
    belong to another one."""
    found: list[tuple[str, Claim]] = []
    for name in templates:
        if (template := await store.find(tx, name)) is not None:
            found.append((f"templates.{name}", _claim("templates", name, template, own)))
    for name in hosts:
        if (host := await store.find_host(tx, name)) is not None:
            found.append((f"virtual_hosts.{name}", _claim("virtual_hosts", name, host, own)))
    return faults(found)


def gone(before: Iterable[str], changes: Iterable[Change]) -> list[Change]:
    """Returns the removals of what was there before and is not any more."""
    kept = set(map(_path, changes))
    found = (resource_of(path) for path in before if path not in kept)
    return [Change(kind=of[0], name=of[1], spec=None) for of in found if of]  # type: ignore[arg-type]


def _require_own(kind: str, writing: Writing, current: TemplateRow | VirtualHostRow | None) -> None:
    require_own(_claim(kind, writing.name, current, writing.own))


def _claim(kind: str, name: str, current: TemplateRow | VirtualHostRow | None, own: InSet) -> Claim:
    return Claim(f"{kind}/{name}", None if current is None else current.set_name, own)


def _path(change: Change) -> str:
    return resource_path(change.kind, change.name)


def _unexpected(
    noun: str, writing: Writing, current: Template | VirtualHost | None
) -> ProblemError:
    if current is None:
        return not_found(noun, writing.name)
    return taken(noun, writing.name) if writing.expected.is_new else stale(current)


def _stale(row: TemplateRow) -> ProblemError:
    return stale(store.shown(row))


def _stale_host(row: VirtualHostRow) -> ProblemError:
    return stale(store.shown_host(row))
