"""The rows of fleets."""

import json
from typing import Final

from pydantic import BaseModel
from sqlalchemy import BigInteger, Column, Integer, String, Text, UniqueConstraint, delete, update

from headgate.master.api.filters import begins, equals, labelled
from headgate.master.api.types import Page, paged
from headgate.master.domains.drift.types import DriftPolicyName
from headgate.master.domains.fleets.types import EngineName, Fleet, FleetPolicies, FleetWindow
from headgate.master.domains.revisions import store as revisions
from headgate.master.store.schema import (
    Counted,
    Tenancy,
    id_column,
    table,
    time_column,
    version_column,
)
from headgate.master.store.transaction import Transaction, columns_of

FLEETS: Final = table(
    "fleets",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    Column("name", String(63), nullable=False),
    Column("labels", Text, nullable=False),
    Column("engine", String(16), nullable=False),
    Column("certificate_hours", Integer, nullable=False),
    Column("most_agents", Integer, nullable=False),
    Column("drift", String(16), nullable=False, server_default="node"),
    Column("heal_after_s", Integer, nullable=False, server_default="60"),
    Column("approvals", Integer, nullable=False, server_default="0"),
    id_column("revision_id", is_optional=True),
    Column("revision", BigInteger, nullable=True),
    time_column("created_at"),
    version_column(),
    UniqueConstraint("workspace_id", "name"),
    counted=Counted("fleets"),
)


class FleetRow(BaseModel):
    """A fleet as it is stored."""

    id: str
    version: int
    organisation_id: str
    workspace_id: str
    name: str
    labels: str
    engine: EngineName
    certificate_hours: int
    most_agents: int
    drift: DriftPolicyName
    heal_after_s: int
    approvals: int
    revision_id: str | None
    revision: int | None
    created_at: int

    def shown(self) -> Fleet:
        """Returns it as clients see it."""
        policies = FleetPolicies(
            certificate_hours=self.certificate_hours,
            most_agents=self.most_agents,
            drift=self.drift,
            heal_after_s=self.heal_after_s,
            approvals=self.approvals,
        )
        return Fleet(
            id=self.id,
            version=self.version,
            name=self.name,
            labels=json.loads(self.labels),
            engine=self.engine,
            policies=policies,
            revision=self.revision,
            created_at=self.created_at,
        )


async def insert(tx: Transaction, one: Fleet) -> None:
    """Adds a fleet; raises TakenError."""
    await tx.insert(FLEETS, id=one.id, created_at=one.created_at, version=1, **_values(one))


async def listed(tx: Transaction, window: FleetWindow) -> Page[Fleet]:
    """Returns the fleets of the scope, by id."""
    query = columns_of(FLEETS, FleetRow).where(
        *begins(FLEETS.c.name, window.name_prefix),
        *labelled(FLEETS.c.labels, window.label),
        *equals((FLEETS.c.engine, window.engine)),
    )
    found = await paged(tx, FleetRow, query, FLEETS.c.id, window)
    return Page[Fleet](items=[one.shown() for one in found.items], next=found.next)


async def some(tx: Transaction, most: int) -> list[FleetRow]:
    """Returns the fleets of the scope, by name, this many at most."""
    query = columns_of(FLEETS, FleetRow).order_by(FLEETS.c.name).limit(most)
    return await tx.all(FleetRow, query)


async def named(tx: Transaction, key: str) -> FleetRow | None:
    """Returns the fleet of the scope with that id or name."""
    where = (FLEETS.c.id == key) | (FLEETS.c.name == key)
    return await tx.first(
        FleetRow, columns_of(FLEETS, FleetRow).where(where).order_by(FLEETS.c.id != key)
    )


async def find(tx: Transaction, fleet_id: str, *, is_locked: bool = False) -> FleetRow | None:
    """Returns the fleet of that id; locked, others wait until the transaction ends."""
    query = columns_of(FLEETS, FleetRow).where(FLEETS.c.id == fleet_id)
    return await tx.first(FleetRow, query.with_for_update() if is_locked else query)


async def approvals_of(tx: Transaction, fleet_id: str) -> int:
    """Returns how many approvals rollouts of a fleet need at least; 0 of one that is gone."""
    found = await find(tx, fleet_id)
    return 0 if found is None else found.approvals


async def change(tx: Transaction, one: Fleet) -> int:
    """Stores the fleet as its next version; returns how many rows changed. Raises TakenError."""
    statement = update(FLEETS).where(FLEETS.c.id == one.id, FLEETS.c.version == one.version - 1)
    return await tx.change(statement.values(version=one.version, **_values(one)))


async def set_desired(tx: Transaction, fleet_id: str, revision_id: str) -> None:
    """Makes a revision what the agents of a fleet must serve."""
    found = await revisions.find(tx, revision_id)
    number = None if found is None else found.number
    values = {"revision_id": revision_id, "revision": number}
    await tx.change(update(FLEETS).where(FLEETS.c.id == fleet_id).values(values))


async def remove(tx: Transaction, fleet_id: str) -> int:
    """Removes a fleet; returns how many rows that were."""
    return await tx.change(delete(FLEETS).where(FLEETS.c.id == fleet_id))


def _values(one: Fleet) -> dict[str, object]:
    return {
        "name": one.name,
        "labels": json.dumps(one.labels, sort_keys=True),
        "engine": one.engine,
        **one.policies.model_dump(),
    }
