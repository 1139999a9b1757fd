"""Keeps the newest revisions of each fleet, and older ones that are still needed."""

from sqlalchemy import select

from headgate.kernel.errors import Invalid
from headgate.master.domains.agents import store as agents
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.revisions import store
from headgate.master.domains.revisions.store import REVISION_NODES, REVISIONS
from headgate.master.domains.rollouts import store as rollouts
from headgate.master.store.transaction import Transaction


async def prune(tx: Transaction, fleet_id: str) -> None:
    """Removes the revisions of a fleet beyond the quota, unless an agent must serve one of them, or
    the fleet's newest rollout can be undone to it.

    While a rollout is under way all of them stay: it may go back to any.
    """
    if await rollouts.open_ones(tx, fleet_id):
        return
    most = (await tx.quotas.limits(tx.scope.workspace_id)).revisions
    old = await store.beyond(tx, fleet_id, most)
    if not old:
        return
    try:
        base = await _base(tx, fleet_id)
    except Invalid:
        return  # a master of another version knows what that rollout goes back to
    fleet = await fleets.find(tx, fleet_id)
    needed = {*await agents.desired_ids(tx, fleet_id), fleet.revision_id if fleet else None, base}
    await store.remove(tx, [one for one in old if one not in needed])


async def forget_removed(tx: Transaction, before_ms: int, most: int) -> int:
    """Removes revisions from before that time whose fleet is gone, what nodes get of them first."""
    where = (
        REVISIONS.c.created_at < before_ms,
        REVISIONS.c.fleet_id.not_in(select(fleets.FLEETS.c.id)),
    )
    of_nodes = REVISION_NODES.c.revision_id.in_(select(REVISIONS.c.id).where(*where))
    if (nodes := await tx.forget(REVISION_NODES, of_nodes, most=most)) == most:
        return nodes
    return await tx.forget(REVISIONS, *where, most=most)


async def _base(tx: Transaction, fleet_id: str) -> str | None:
    """Returns the revision that the fleet's newest rollout can be undone to; raises Invalid if that
    rollout cannot be read."""
    newest = await rollouts.newest(tx, fleet_id)
    base = None if newest is None else newest.decoded().kept_base
    return None if base is None else await rollouts.revision_id(tx, fleet_id, base)
