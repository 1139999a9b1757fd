"""The routes of drafts and previews."""

import asyncio
from typing import Annotated

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.expecting import tag_of
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.drafts import service, store
from headgate.master.domains.drafts.contents import differences, gathered
from headgate.master.domains.drafts.preview import MOST_FLEETS, affected
from headgate.master.domains.drafts.preview import preview as worked_out
from headgate.master.domains.drafts.seeing import had
from headgate.master.domains.drafts.types import (
    Draft,
    DraftChanges,
    DraftWindow,
    NewDraft,
    Preview,
)
from headgate.master.domains.drafts.wanted import PreviewRequest
from headgate.master.domains.fleets import service as fleets
from headgate.master.domains.fleets import store as fleet_rows
from headgate.master.domains.resources import service as resources
from headgate.master.domains.revisions import service as revisions
from headgate.master.domains.templates import service as templates
from headgate.master.domains.templates.planned import planned
from headgate.master.store.transaction import Transaction

ROUTES = Routes("drafts")
_ALL = "/workspaces/{workspace}/drafts"
_ONE = _ALL + "/{draft}"


@ROUTES.get(_ALL, Permission.RESOURCES_READ)
async def list_drafts(
    call: Here, workspace: str, window: Annotated[DraftWindow, Query()]
) -> Page[Draft]:
    """Lists the workspace's drafts."""
    async with call.read() as tx:
        return await store.listed(tx, window)


@ROUTES.post(_ALL, Permission.RESOURCES_WRITE)
async def create_draft(call: Here, workspace: str, new: NewDraft) -> Draft:
    """Makes a draft; each of its objects is checked by itself."""
    await asyncio.to_thread(service.checked, new.changes)
    return await call.write(lambda tx: service.create(tx, new, call.caller, call.now_ms))


@ROUTES.get(_ONE, Permission.RESOURCES_READ)
async def get_draft(call: Here, workspace: str, draft: str) -> Draft:
    """Shows a draft."""
    async with call.read() as tx:
        return call.shown(await service.find(tx, draft))


@ROUTES.put(_ONE, Permission.RESOURCES_WRITE)
async def put_draft(call: Here, workspace: str, draft: str, new: DraftChanges) -> Draft:
    """Gives a draft other changes."""
    await asyncio.to_thread(service.checked, new.changes)
    return await call.write(
        lambda tx: service.change(tx, draft, new.changes, call.expected, call.now_ms)
    )


@ROUTES.delete(_ONE, Permission.RESOURCES_WRITE)
async def delete_draft(call: Here, workspace: str, draft: str) -> None:
    """Removes a draft."""

    async def work(tx: Transaction) -> None:
        call.require_version(await service.find(tx, draft, is_locked=True))
        await service.remove(tx, draft)

    await call.write(work)


@ROUTES.post("/workspaces/{workspace}/preview", Permission.RESOURCES_READ, status=200)
async def preview(call: Here, workspace: str, wanted: PreviewRequest) -> Preview:
    """Says what publishing would change, what refuses it, and what is probably a mistake.

    For each fleet it says what its engines cannot do, by what its agents reported, whether they
    reload, and which requests would go elsewhere: those that `seen` has had lately, or made ones.
    """
    sealer = call.master.sealer
    forbidden = resources.verbatim_faults(wanted.changes, call.caller, call.scope)
    seen = {} if wanted.seen is None else await had(call, wanted.seen)
    changes = await asyncio.to_thread(service.checked, wanted.changes)
    async with call.read() as tx:
        draft = None if wanted.draft is None else await service.find(tx, wanted.draft)
        if draft is not None:
            changes = [*draft.changes, *changes]
        plan = await planned(tx, wanted.templates, wanted.virtual_hosts)
        changes = [*changes, *templates.in_set(plan.changes, wanted)]
        refused = await resources.set_faults(tx, changes)
        refused += await templates.set_faults(tx, wanted.templates, wanted.virtual_hosts, wanted)
        fleet = None if wanted.fleet is None else await fleets.found(tx, wanted.fleet)
        if fleet is None:
            before = await gathered(tx, [], sealer)
            after = await gathered(tx, changes, sealer)
        else:
            before = await revisions.newest_contents(tx, fleet.id, sealer)
            after = await gathered(tx, changes, sealer, fleet.shown().labels)
        rows = [fleet] if fleet is not None else await fleet_rows.some(tx, MOST_FLEETS)
        touched = [await affected(tx, row, changes, sealer, plan) for row in rows]
    found = await asyncio.to_thread(worked_out, differences(before, after), after, touched, seen)
    errors = [*refused, *forbidden, *found.errors]
    tag = None if draft is None else tag_of(draft)
    found = found.model_copy(update={"errors": errors, "draft_tag": tag})
    call.master.previews.shown(found)
    return found
