"""The routes of rollouts and freezes."""

from typing import Annotated

from fastapi import Query

from headgate.kernel.errors import Invalid
from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.problems import not_found
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.fleets import service as fleets
from headgate.master.domains.rollouts import machine, service, store, views
from headgate.master.domains.rollouts.driver import look_at
from headgate.master.domains.rollouts.types import (
    Freeze,
    FreezeWindow,
    NewFreeze,
    NewRollout,
    Ordered,
    RolloutDetail,
    RolloutView,
    RolloutWindow,
)
from headgate.master.store.transaction import Transaction

ROUTES = Routes("rollouts")
_ROLLOUTS = "/workspaces/{workspace}/rollouts"
_FREEZES = "/workspaces/{workspace}/freezes"


@ROUTES.get(_ROLLOUTS, Permission.ROLLOUTS_READ)
async def list_rollouts(
    call: Here, workspace: str, window: Annotated[RolloutWindow, Query()]
) -> Page[RolloutView]:
    """Lists the rollouts of the workspace, the oldest first."""
    async with call.read() as tx:
        page = await store.listed(tx, window, await fleets.id_of(tx, window.fleet))
    return Page[RolloutView](items=[views.brief(row) for row in page.items], next=page.next)


@ROUTES.post(_ROLLOUTS, Permission.ROLLOUTS_OPERATE)
async def create_rollout(call: Here, workspace: str, new: NewRollout) -> RolloutView:
    """Begins to bring a revision to a fleet, or to upgrade its agents to a program, after the
    rollout that is under way there."""

    async def work(tx: Transaction) -> RolloutView:
        return views.brief(await service.create(tx, new, call.caller, call.now_ms))

    return await call.write(work)


@ROUTES.get(_ROLLOUTS + "/{rollout}", Permission.ROLLOUTS_READ)
async def get_rollout(call: Here, workspace: str, rollout: str) -> RolloutDetail:
    """Shows a rollout with its waves, its timeline, and where every agent stands now."""
    async with call.read() as tx:
        row = await service.found(tx, rollout)
        newest = await store.newest(tx, row.fleet)
        try:
            state = row.decoded()
        except Invalid as error:
            return call.shown(views.unreadable(row, error))
        if state.has_ended and newest is not None and newest.id == row.id:
            # No driver looks at it any more; agents that were away may have come back.
            look = await look_at(tx, row, call.now_ms)
            state, _ = machine.handle(state, look, call.now_ms / 1000)
    return call.shown(views.detailed(row, state))


@ROUTES.post(_ROLLOUTS + "/{rollout}/orders", Permission.ROLLOUTS_OPERATE, status=200)
async def order_rollout(call: Here, workspace: str, rollout: str, ordered: Ordered) -> RolloutView:
    """Pauses a rollout, lets it go on, or takes it back."""

    async def work(tx: Transaction) -> RolloutView:
        return views.brief(await service.order(tx, rollout, ordered, call.caller, call.now_ms))

    return await call.write(work)


@ROUTES.post(_ROLLOUTS + "/{rollout}/approvals", Permission.ROLLOUTS_APPROVE, status=200)
async def approve_rollout(call: Here, workspace: str, rollout: str) -> RolloutView:
    """Approves a rollout that waits for it; not one's own, and not with an API token."""

    async def work(tx: Transaction) -> RolloutView:
        return views.brief(await service.approve(tx, rollout, call.caller, call.now_ms))

    return await call.write(work)


@ROUTES.get(_FREEZES, Permission.ROLLOUTS_READ)
async def list_freezes(
    call: Here, workspace: str, window: Annotated[FreezeWindow, Query()]
) -> Page[Freeze]:
    """Lists the freezes of the workspace."""
    async with call.read() as tx:
        fleet = await fleets.id_of(tx, window.fleet)
        return await store.freezes(tx, window, fleet, call.now_ms)


@ROUTES.post(_FREEZES, Permission.ROLLOUTS_OPERATE)
async def create_freeze(call: Here, workspace: str, new: NewFreeze) -> Freeze:
    """Makes a time in which no wave begins; what is under way may still be undone."""
    return await call.write(lambda tx: service.freeze(tx, new, call.caller.name, call.now_ms))


@ROUTES.delete(_FREEZES + "/{freeze}", Permission.ROLLOUTS_OPERATE)
async def end_freeze(call: Here, workspace: str, freeze: str) -> None:
    """Ends a freeze at once."""

    async def work(tx: Transaction) -> None:
        call.require_version(await store.find_freeze(tx, freeze))
        if not await store.end_freeze(tx, freeze):
            raise not_found("freeze", freeze)

    await call.write(work)
