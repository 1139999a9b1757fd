"""The rows of rollouts, freezes and what agents must serve."""

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel
from sqlalchemy import BigInteger, Column, String, Text, delete, func, select, update

from headgate.kernel.errors import Invalid
from headgate.master.api.filters import Condition, equals
from headgate.master.api.types import Page, paged
from headgate.master.domains.agents.store import AGENTS
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.revisions.store import REVISIONS
from headgate.master.domains.rollouts import state as states
from headgate.master.domains.rollouts.types import Freeze, FreezeWindow, RolloutWindow
from headgate.master.store.schema import Tenancy, id_column, table, time_column, version_column
from headgate.master.store.scope import Scope
from headgate.master.store.transaction import Transaction, columns_of

ROLLOUTS: Final = table(
    "rollouts",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    id_column("fleet", is_indexed=True),
    Column("revision", BigInteger, nullable=False),
    Column("program", String(64), nullable=True),
    Column("phase", String(16), nullable=False, index=True),
    Column("created_by", String(200), nullable=False),
    time_column("created_at"),
    Column("state", Text, nullable=False),
    Column("held_since", BigInteger, nullable=True),
    version_column(),
)
FREEZES: Final = table(
    "freezes",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    Column("fleet", String(26), nullable=False),
    time_column("begins_at"),
    time_column("ends_at"),
    Column("reason", String(500), nullable=False),
    Column("created_by", String(200), nullable=False),
    version_column(),
)
_AT_ONCE: Final = 500


class RolloutRow(BaseModel):
    """A rollout as it is stored; `state` is the JSON of its state."""

    id: str
    version: int
    organisation_id: str
    workspace_id: str
    fleet: str
    revision: int
    """Of a rollout of a program what stands for it, see `Spec`."""
    program: str | None
    phase: str
    created_by: str
    created_at: int
    state: str

    @property
    def scope(self) -> Scope:
        """The workspace that it belongs to."""
        return Scope(self.organisation_id, self.workspace_id)

    def decoded(self) -> states.Rollout:
        """Returns its state; raises Invalid for one that this version cannot read."""
        return states.decode(self.state.encode())


class _Id(BaseModel):
    id: str


async def insert(tx: Transaction, one: states.Rollout, created_by: str, now_ms: int) -> None:
    """Adds a rollout."""
    await tx.insert(
        ROLLOUTS,
        id=one.spec.rollout,
        fleet=one.spec.fleet,
        revision=one.spec.revision,
        program=one.spec.program or None,
        phase=one.phase,
        created_by=created_by,
        created_at=now_ms,
        state=states.encode(one).decode(),
        version=1,
    )


async def find(tx: Transaction, rollout: str) -> RolloutRow | None:
    """Returns a rollout of the scope."""
    return await tx.find(RolloutRow, ROLLOUTS, ROLLOUTS.c.id == rollout)


async def listed(tx: Transaction, window: RolloutWindow, fleet_id: str | None) -> Page[RolloutRow]:
    """Returns the rollouts of the scope, or of one fleet, by id: the oldest first."""
    query = columns_of(ROLLOUTS, RolloutRow).where(
        *equals(
            (ROLLOUTS.c.fleet, fleet_id),
            (ROLLOUTS.c.program, window.program),
            (ROLLOUTS.c.created_by, window.created_by),
        )
    )
    if window.revision is not None:
        # Of a rollout of a program the column has what stands for it.
        query = query.where(ROLLOUTS.c.revision == window.revision, ROLLOUTS.c.program.is_(None))
    if window.state == "open":
        query = query.where(ROLLOUTS.c.phase.not_in(sorted(states.ENDED)))
    elif window.state == "ended":
        query = query.where(ROLLOUTS.c.phase.in_(sorted(states.ENDED)))
    elif window.state is not None:
        query = query.where(ROLLOUTS.c.phase == window.state)
    return await paged(tx, RolloutRow, query, ROLLOUTS.c.id, window)


async def open_ones(tx: Transaction, fleet: str | None = None) -> list[RolloutRow]:
    """Returns the rollouts that have not ended, the oldest first."""
    query = columns_of(ROLLOUTS, RolloutRow).where(ROLLOUTS.c.phase.not_in(sorted(states.ENDED)))
    if fleet is not None:
        query = query.where(ROLLOUTS.c.fleet == fleet)
    return await tx.all(RolloutRow, query.order_by(ROLLOUTS.c.id))


async def newest(tx: Transaction, fleet: str) -> RolloutRow | None:
    """Returns the fleet's rollout that was made last."""
    query = columns_of(ROLLOUTS, RolloutRow).where(ROLLOUTS.c.fleet == fleet)
    return await tx.first(RolloutRow, query.order_by(ROLLOUTS.c.id.desc()))


async def save(tx: Transaction, row: RolloutRow, one: states.Rollout) -> bool:
    """Stores a new state in place of the row's; False if another one was stored since."""
    values = {
        "phase": one.phase,
        "state": states.encode(one).decode(),
        "held_since": None if one.held_since is None else int(one.held_since * 1000),
        "version": row.version + 1,
    }
    where = (ROLLOUTS.c.id == row.id, ROLLOUTS.c.version == row.version)
    return await tx.change(update(ROLLOUTS).where(*where).values(values)) == 1


async def end_unread(tx: Transaction, row: RolloutRow, phase: str) -> bool:
    """Ends a rollout whose state stays as it is; False if another state was stored since."""
    found = await tx.change(
        update(ROLLOUTS)
        .where(ROLLOUTS.c.id == row.id, ROLLOUTS.c.version == row.version)
        .values(phase=phase, version=row.version + 1)
    )
    return found == 1


async def serve(
    tx: Transaction, row: RolloutRow, told: Sequence[str], revision: int, wave: int
) -> None:
    """Makes a revision what these agents must serve; raises Invalid if it is gone."""
    values = {
        "desired_id": await _present(tx, row.fleet, revision),
        "desired": revision,
        "rollout": row.id,
        "wave": wave + 1,
    }
    for start in range(0, len(told), _AT_ONCE):
        part = told[start : start + _AT_ONCE]
        where = (AGENTS.c.fleet == row.fleet, AGENTS.c.id.in_(part))
        await tx.change(update(AGENTS).where(*where).values(**values))


async def settle(tx: Transaction, fleet: str, revision: int) -> None:
    """Makes a revision what agents serve that join the fleet; raises Invalid if it is gone."""
    await fleets.set_desired(tx, fleet, await _present(tx, fleet, revision))


async def settled(tx: Transaction, fleet: str) -> int | None:
    """Returns what the fleet ended its last rollout with; None before the first one."""
    found = await fleets.find(tx, fleet)
    return None if found is None else found.revision


async def revision_id(tx: Transaction, fleet: str, number: int) -> str | None:
    """Returns the id of a fleet's revision; None if there is none with that number."""
    where = (REVISIONS.c.fleet_id == fleet, REVISIONS.c.number == number)
    found = await tx.find(_Id, REVISIONS, *where)
    return None if found is None else found.id


async def _present(tx: Transaction, fleet: str, number: int) -> str:
    found = await revision_id(tx, fleet, number)
    if found is None:
        raise Invalid(
            f"revision {number} of the fleet was removed", "begin a rollout of another revision"
        )
    return found


async def add_freeze(tx: Transaction, one: Freeze) -> None:
    """Adds a freeze."""
    await tx.insert(FREEZES, **one.model_dump())


async def freezes(
    tx: Transaction, window: FreezeWindow, fleet_id: str | None, now_ms: int
) -> Page[Freeze]:
    """Returns the freezes of the scope, or those that hold for one fleet, by id."""
    query = columns_of(FREEZES, Freeze).where(*_in_state(window.state, now_ms))
    if fleet_id is not None:
        query = query.where(FREEZES.c.fleet.in_(["", fleet_id]))
    return await paged(tx, Freeze, query, FREEZES.c.id, window)


def _in_state(state: str | None, now_ms: int) -> list[Condition]:
    if state is None:
        return []
    if state == "waiting":
        return [FREEZES.c.begins_at > now_ms]
    if state == "over":
        return [FREEZES.c.ends_at <= now_ms]
    return [FREEZES.c.begins_at <= now_ms, FREEZES.c.ends_at > now_ms]


async def freezes_at(tx: Transaction, now_ms: int) -> list[Freeze]:
    """Returns the freezes of the scope that hold now."""
    query = columns_of(FREEZES, Freeze).where(*_in_state("active", now_ms))
    return await tx.all(Freeze, query)


async def find_freeze(tx: Transaction, freeze: str) -> Freeze | None:
    """Returns a freeze of the scope."""
    return await tx.find(Freeze, FREEZES, FREEZES.c.id == freeze)


async def end_freeze(tx: Transaction, freeze: str) -> bool:
    """Removes a freeze; False if there is none."""
    return await tx.change(delete(FREEZES).where(FREEZES.c.id == freeze)) == 1


async def remove_fleet(tx: Transaction, fleet: str) -> None:
    """Removes the rollouts and freezes of a fleet that goes."""
    await tx.change(delete(ROLLOUTS).where(ROLLOUTS.c.fleet == fleet))
    await tx.change(delete(FREEZES).where(FREEZES.c.fleet == fleet))


async def forget_removed(tx: Transaction, before_ms: int, most: int) -> int:
    """Removes rollouts from before that time whose fleet is gone."""
    is_gone = ROLLOUTS.c.fleet.not_in(select(fleets.FLEETS.c.id))
    return await tx.forget(ROLLOUTS, ROLLOUTS.c.created_at < before_ms, is_gone, most=most)


async def forget(tx: Transaction, before_ms: int, most: int) -> int:
    """Removes rollouts that ended and began before that time, but not the newest of a fleet, and
    freezes that ended before it."""
    newest = select(func.max(ROLLOUTS.c.id)).group_by(ROLLOUTS.c.fleet)
    old = (
        ROLLOUTS.c.created_at < before_ms,
        ROLLOUTS.c.phase.in_(sorted(states.ENDED)),
        ROLLOUTS.c.id.not_in(newest),
    )
    rollouts = await tx.forget(ROLLOUTS, *old, most=most)
    return max(rollouts, await tx.forget(FREEZES, FREEZES.c.ends_at < before_ms, most=most))
