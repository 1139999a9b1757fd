"""The rows of the fleet's certificate authorities; their keys are sealed."""

from typing import Final

from pydantic import BaseModel
from sqlalchemy import Boolean, Column, String, Text, delete, update

from headgate.master.store.schema import Tenancy, table, time_column
from headgate.master.store.transaction import Transaction, columns_of

AUTHORITIES: Final = table(
    "authorities",
    Tenancy.MASTER,
    Column("id", String(32), primary_key=True),
    Column("certificate", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("is_issuing", Boolean, nullable=False),
    time_column("created_at"),
)


class AuthorityRow(BaseModel):
    """An authority with its sealed key."""

    id: str
    certificate: str
    sealed: str
    is_issuing: bool
    created_at: int


async def listed(tx: Transaction, *, is_locked: bool = False) -> list[AuthorityRow]:
    """Returns the authorities, oldest first; nobody else changes them until `tx` ends if they are
    locked."""
    query = columns_of(AUTHORITIES, AuthorityRow).order_by(AUTHORITIES.c.id)
    return await tx.as_master().all(AuthorityRow, query.with_for_update() if is_locked else query)


async def insert(tx: Transaction, row: AuthorityRow) -> None:
    """Adds an authority; raises TakenError if another master was quicker."""
    await tx.as_master().insert(AUTHORITIES, **row.model_dump())


async def let_issue(tx: Transaction, authority_id: str) -> None:
    """Lets an authority issue; the newest one that may does it."""
    changed = update(AUTHORITIES).where(AUTHORITIES.c.id == authority_id)
    await tx.as_master().change(changed.values(is_issuing=True))


async def remove(tx: Transaction, authority_id: str) -> None:
    """Removes an authority: nothing that it issued counts from now on."""
    await tx.as_master().change(delete(AUTHORITIES).where(AUTHORITIES.c.id == authority_id))
