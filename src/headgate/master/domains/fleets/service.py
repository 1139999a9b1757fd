"""The rules of fleets."""

from headgate.master.api.expecting import Expected
from headgate.master.api.problems import ProblemError, not_found, stale, taken
from headgate.master.domains.agents import store as agents
from headgate.master.domains.fleets import store
from headgate.master.domains.fleets.types import Fleet, FleetChange, FleetPolicies, NewFleet
from headgate.master.domains.join_tokens import store as join_tokens
from headgate.master.domains.metrics import store as metrics
from headgate.master.domains.revisions import store as revisions
from headgate.master.domains.rollouts import store as rollouts
from headgate.master.ids import new_id
from headgate.master.store.errors import TakenError
from headgate.master.store.transaction import Transaction


async def create(tx: Transaction, new: NewFleet, now_ms: int) -> Fleet:
    """Makes a fleet in the scope's workspace."""
    one = Fleet(
        id=new_id(now_ms),
        version=1,
        name=new.name,
        labels=new.labels,
        engine=new.engine,
        policies=FleetPolicies(**new.policies.model_dump()),
        revision=None,
        created_at=now_ms,
    )
    try:
        await store.insert(tx, one)
    except TakenError:
        raise taken("fleet", new.name) from None
    return one


async def found(tx: Transaction, key: str) -> store.FleetRow:
    """Returns the fleet with that id or name; raises ProblemError."""
    row = await store.named(tx, key)
    if row is None:
        raise not_found("fleet", key)
    return row


async def id_of(tx: Transaction, key: str | None) -> str | None:
    """Returns the id of the fleet with that id or name, None for None; raises ProblemError."""
    return None if key is None else (await found(tx, key)).id


async def require_no_approvals(tx: Transaction, fleet_id: str) -> None:
    """Raises ProblemError if a revision may reach the fleet's agents by approved rollouts only."""
    if needed := await store.approvals_of(tx, fleet_id):
        raise ProblemError(
            409,
            "conflict",
            f"rollouts of the fleet need {needed} approvals; publish with is_served false, and"
            " begin a rollout of that revision or of an older one",
        )


async def change(
    tx: Transaction, key: str, new: FleetChange, expected: Expected, now_ms: int
) -> Fleet:
    """Changes a fleet; a stale one is refused with 412. The caller wakes its agents
    if the policies were changed."""
    current = (await found(tx, key)).shown()
    if not expected.fits(current):
        raise stale(current)
    values = {
        name: getattr(new, name)
        for name in ("name", "labels", "engine")
        if getattr(new, name) is not None
    }
    if new.policies is not None:
        values["policies"] = current.policies.model_copy(
            update=new.policies.model_dump(exclude_unset=True)
        )
    after = current.model_copy(update={**values, "version": current.version + 1})
    try:
        changed = await store.change(tx, after)
    except TakenError:
        raise taken("fleet", after.name) from None
    if not changed:
        raise stale(current)
    if _about_drift(after) != _about_drift(current):
        await agents.order_all(tx, current.id, now_ms)
    return after


def _about_drift(one: Fleet) -> tuple[str, int]:
    return one.policies.drift, one.policies.heal_after_s


async def remove(tx: Transaction, key: str, expected: Expected) -> None:
    """Removes a fleet that has no agents, with its join tokens, rollouts, freezes and revisions."""
    # Locked, nobody enrols meanwhile.
    current = await store.find(tx, (await found(tx, key)).id, is_locked=True)
    if current is None:
        raise not_found("fleet", key)
    if not expected.fits(current):
        raise stale(current.shown())
    if count := await agents.count(tx, current.id):
        raise ProblemError(
            409,
            "not-empty",
            f'the fleet "{current.name}" has agents ({count}); move or delete them first',
        )
    await join_tokens.remove_all(tx, current.id)
    await metrics.remove_fleet(tx, current.id)
    await rollouts.remove_fleet(tx, current.id)
    await revisions.remove_fleet(tx, current.id)
    await store.remove(tx, current.id)
