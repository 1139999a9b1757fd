"""The rows of organisations."""

from typing import Final

from sqlalchemy import Column, String, UniqueConstraint

from headgate.master.api.filters import begins
from headgate.master.api.types import Page, paged
from headgate.master.domains.organisations.types import Organisation, OrganisationsWindow
from headgate.master.store.schema import Tenancy, id_column, table, time_column, version_column
from headgate.master.store.transaction import Transaction, columns_of

ORGANISATIONS: Final = table(
    "organisations",
    Tenancy.MASTER,
    id_column("id", is_key=True),
    Column("name", String(63), nullable=False),
    time_column("created_at"),
    version_column(),
    UniqueConstraint("name"),
)


async def find(tx: Transaction, key: str) -> Organisation | None:
    """Returns the organisation of that id or name."""
    either = (ORGANISATIONS.c.id == key) | (ORGANISATIONS.c.name == key)
    return await tx.as_master().find(Organisation, ORGANISATIONS, either)


async def lock(tx: Transaction) -> None:
    """Lets others who lock the scope's organisation wait until the transaction ends."""
    own = ORGANISATIONS.c.id == tx.scope.organisation_id
    query = columns_of(ORGANISATIONS, Organisation).where(own).with_for_update()
    await tx.as_master().first(Organisation, query)


async def listed(
    tx: Transaction, ids: frozenset[str], window: OrganisationsWindow
) -> Page[Organisation]:
    """Returns those with one of the ids, by id."""
    query = columns_of(ORGANISATIONS, Organisation).where(
        ORGANISATIONS.c.id.in_(sorted(ids)), *begins(ORGANISATIONS.c.name, window.name_prefix)
    )
    return await paged(tx.as_master(), Organisation, query, ORGANISATIONS.c.id, window)


async def insert(tx: Transaction, one: Organisation) -> None:
    """Adds an organisation; raises TakenError."""
    await tx.as_master().insert(ORGANISATIONS, **one.model_dump())
