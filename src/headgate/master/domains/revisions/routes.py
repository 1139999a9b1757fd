"""The routes of revisions: publishing, history, and publishing an older one again."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import Query

from headgate.fleet.manifest import resource_path
from headgate.master.access import Permission
from headgate.master.api.call import Call, Here
from headgate.master.api.expecting import tag_of
from headgate.master.api.problems import (
    Fault,
    ForbiddenError,
    ProblemError,
    invalid,
    not_found,
    stale,
)
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.agents import service as agent_rules
from headgate.master.domains.agents import store as agents
from headgate.master.domains.drafts import service as drafts
from headgate.master.domains.drafts.contents import differences
from headgate.master.domains.drafts.digests import shown_digest
from headgate.master.domains.drafts.effects import refusals
from headgate.master.domains.drafts.preview import (
    Affected,
    Compiled,
    affected,
    engine_effects,
    fate,
    nodes_of,
)
from headgate.master.domains.drafts.types import Draft, Inability
from headgate.master.domains.fleets import service as fleets
from headgate.master.domains.resources.service import VERBATIM, require_verbatim
from headgate.master.domains.resources.types import Change
from headgate.master.domains.revisions import nodes, service, store
from headgate.master.domains.revisions.keeping import prune
from headgate.master.domains.revisions.types import (
    Again,
    NewRevision,
    NodeConfig,
    Published,
    Revision,
    RevisionConfig,
    RevisionDetail,
    RevisionWindow,
)
from headgate.master.domains.rollouts import store as rollouts
from headgate.master.domains.templates.recipes import decoded, recipes_of
from headgate.master.store.transaction import Transaction

ROUTES = Routes("revisions")
_ALL = "/workspaces/{workspace}/revisions"


@ROUTES.get(_ALL, Permission.REVISIONS_READ)
async def list_revisions(
    call: Here, workspace: str, window: Annotated[RevisionWindow, Query()]
) -> Page[Revision]:
    """Lists what was published, the newest first."""
    async with call.read() as tx:
        return await store.listed(tx, await fleets.id_of(tx, window.fleet), window)


@ROUTES.post(_ALL, Permission.REVISIONS_PUBLISH)
async def publish_revision(call: Here, workspace: str, new: NewRevision) -> Published:
    """Publishes the workspace's resources, with a draft's changes, to a fleet.

    A config with an error is refused, with every error. What was checked is what is published.
    `is_served` needs the permission `rollouts.approve`, because no wave or freeze holds it, and is
    refused where the fleet's policy asks for approvals.
    """
    if new.is_served and not call.caller.may(Permission.ROLLOUTS_APPROVE, call.scope):
        raise ForbiddenError(
            Permission.ROLLOUTS_APPROVE,
            "`is_served` needs the permission rollouts.approve; publish with `is_served` false, "
            "and begin a rollout of the revision",
        )
    sealer = call.master.sealer
    async with call.read() as tx:
        fleet = await fleets.found(tx, new.fleet)
        labels = fleet.shown().labels
        contents, draft = await service.wanted(tx, new.draft, sealer, labels)
        changes = _looked_at_changes(new, draft, call)
        fleet_fate = await affected(tx, fleet, changes, sealer)
    before = fleet_fate.before
    made, warnings = await _checked(fleet_fate)
    order = service.Order(fleet.id, call.caller, new.message, call.now_ms)

    async def work(tx: Transaction) -> Published:
        if new.draft is not None:  # nobody changes it until it is removed
            await drafts.find(tx, new.draft, is_locked=True)
        again = (await fleets.found(tx, fleet.id)).shown().labels
        is_same = await service.wanted(tx, new.draft, sealer, again) == (contents, draft)
        if not is_same or not await _is_as_checked(tx, fleet_fate):
            raise ProblemError(
                409, "changed", "the resources changed while they were checked; try again"
            )
        if new.draft is not None:
            await service.settle(tx, new.draft, call.caller, call.now_ms)
            for path in _verbatim(changes):
                await call.note(tx, Permission.RESOURCES_VERBATIM.value, path)
        if new.is_served:
            await _require_no_rollout(tx, fleet.id, "publish with is_served false")
        revision = await service.publish(tx, order, made, sealer)
        if new.is_served:
            aimed.extend(await agents.set_desired(tx, fleet.id, revision.id))
        await prune(tx, fleet.id)
        return _published(revision, before, contents, warnings)

    aimed: list[str] = []
    published = await call.write(work)
    call.master.hub.wake(aimed)
    return published


@ROUTES.get(_ALL + "/{revision}", Permission.REVISIONS_READ)
async def get_revision(call: Here, workspace: str, revision: str) -> RevisionDetail:
    """Shows a revision, with the files that it holds."""
    async with call.read() as tx:
        return call.shown(await service.detail(tx, revision))


@ROUTES.get(_ALL + "/{revision}/config", Permission.REVISIONS_READ)
async def get_revision_config(
    call: Here, workspace: str, revision: str, agent: str | None = None
) -> RevisionConfig:
    """Shows the objects of a revision's config, or with `agent` what that agent gets of it; of
    secret files nothing."""
    async with call.read() as tx:
        return await service.config(tx, revision, call.master.sealer, agent)


@ROUTES.get("/workspaces/{workspace}/agents/{agent}/config", Permission.REVISIONS_READ)
async def get_agent_config(call: Here, workspace: str, agent: str) -> NodeConfig:
    """Shows what an agent would get if the workspace's resources were published now, with the
    node's own values; of secret files nothing."""
    sealer = call.master.sealer
    async with call.read() as tx:
        row = await agent_rules.found(tx, agent)
        found = await nodes.wanted(tx, row, sealer, call.now_ms)
    return NodeConfig(
        agent=row.id,
        name=row.name,
        digest=shown_digest(found.contents),
        values=found.values,
        resources=service.held(found.contents),
    )


@ROUTES.post(_ALL + "/{revision}/publish", Permission.ROLLOUTS_APPROVE)
async def publish_again(call: Here, workspace: str, revision: str, new: Again) -> Published:
    """Rolls back: publishes the content of an older revision as the next one of its fleet.

    The workspace's resources stay as they are. Every agent must serve it at once, which no wave or
    freeze holds; it is refused where the fleet's policy asks for approvals.
    """
    sealer = call.master.sealer
    async with call.read() as tx:
        signed = await store.manifest(tx, revision)
        if signed is None:
            raise not_found("revision", revision)
        contents = await service.contents_of(tx, signed, sealer)
        fleet = await fleets.found(tx, signed.fleet_id)
        now = await affected(tx, fleet, [], sealer)
        again = replace(now, after=contents, recipes=decoded(signed.recipes), left_out=[])
    before = again.before
    checked, warnings = await _checked(again, is_able=False)
    order = service.Order(signed.fleet_id, call.caller, new.message, call.now_ms, signed.number)

    async def work(tx: Transaction) -> Published:
        await _require_no_rollout(tx, signed.fleet_id, "abort or undo it first")
        made = await service.publish(tx, order, checked, sealer)
        aimed.extend(await agents.set_desired(tx, signed.fleet_id, made.id))
        await prune(tx, signed.fleet_id)
        return _published(made, before, contents, warnings)

    aimed: list[str] = []
    published = await call.write(work)
    call.master.hub.wake(aimed)
    return published


async def _require_no_rollout(tx: Transaction, fleet_id: str, advice: str) -> None:
    """Raises ProblemError if a rollout decides what the fleet's agents serve, or must."""
    await fleets.require_no_approvals(tx, fleet_id)
    if await rollouts.open_ones(tx, fleet_id):
        raise ProblemError(409, "conflict", f"a rollout is under way in the fleet; {advice}")


async def _checked(one: Affected, *, is_able: bool = True) -> tuple[service.Made, list[Fault]]:
    """Returns what to publish, and the warnings; raises ProblemError with every error of the
    config that a node would get, or with all that an engine of the fleet would refuse it for."""
    return await asyncio.to_thread(_looked_at, one, is_able)


def _looked_at(one: Affected, is_able: bool) -> tuple[service.Made, list[Fault]]:
    compiled = Compiled()
    found = fate(one, compiled)
    if errors := found.verdict.errors:
        detail = f"the config has {len(errors)} errors, see `errors`; nothing was published"
        raise ProblemError(422, "invalid", detail, errors=errors)
    # A native engine can do what the program can.
    if is_able and any(e.engine != "native" for e in one.engines_of(one.nodes)):
        _require_able(refusals(engine_effects(one, found, compiled)))
    variants = found.variants if one.recipes else ()
    return service.Made(one.after, one.recipes, variants), found.verdict.warnings


def _require_able(found: list[Inability]) -> None:
    """Raises ProblemError with all that an engine of the fleet would refuse the revision for."""
    if not found:
        return
    faults = [
        Fault(path=f"{one.object}: {one.path}", detail=one.detail, allowed=one.allowed)
        for one in found
    ]
    raise ProblemError(
        422,
        "engine-refuses",
        "an engine of the fleet would refuse the whole revision, see `errors`; nothing was"
        " published",
        errors=faults,
    )


def _verbatim(changes: Sequence[Change]) -> list[str]:
    """Returns the paths of the objects whose text nginx runs as it is."""
    return [resource_path(one.kind, one.name) for one in changes if one.kind in VERBATIM]


async def _is_as_checked(tx: Transaction, one: Affected) -> bool:
    """Says whether nodes still get the values that were checked."""
    if not one.recipes:
        return not await recipes_of(tx, one.after)
    nodes = [node for node, _ in await nodes_of(tx, one.row.id)]
    return nodes == list(one.nodes) and await recipes_of(tx, one.after) == one.recipes


def _looked_at_changes(new: NewRevision, draft: Draft | None, call: Call) -> list[Change]:
    """Returns the changes of a draft; raises ProblemError unless it is the one that was looked at,
    which must be said of one whose text nginx runs as it is."""
    if draft is None:
        if new.draft_tag is not None:
            raise invalid("$.draft_tag", "no draft is named", "write its name in `draft`")
        return []
    require_verbatim(draft.changes, call.caller, call.scope)
    if new.draft_tag is None and (paths := _verbatim(draft.changes)):
        raise invalid(
            "$.draft_tag",
            f"the draft has text that nginx runs as it is ({paths[0]})",
            "write which one was looked at, as a preview or its ETag says it: VERSION-ID",
        )
    if new.draft_tag not in {None, tag_of(draft)}:
        raise stale(draft)
    return draft.changes


def _published(
    revision: Revision,
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
    warnings: list[Fault],
) -> Published:
    objects = differences(before, after)
    return Published(**revision.model_dump(), objects=objects, warnings=warnings)
