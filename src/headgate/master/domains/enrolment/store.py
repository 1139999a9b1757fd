"""The rows of the fleet's certificate authorities; their keys are sealed."""

from enum import Enum
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


class Lock(Enum):
    """The transactions that wait for the end of one that read the authorities."""

    SHARED = "shared"
    """Those that change them: certificates are being issued."""
    WHOLE = "whole"
    """Those, and all that issue certificates."""


class AuthorityRow(BaseModel):
    """An authority with its sealed key."""

    id: str
    certificate: str
    sealed: str
    is_issuing: bool
    created_at: int


async def listed(tx: Transaction, lock: Lock | None = None) -> list[AuthorityRow]:
    """Returns the authorities, oldest first."""
    query = columns_of(AUTHORITIES, AuthorityRow).order_by(AUTHORITIES.c.id)
    if lock is not None:
        query = query.with_for_update(read=lock is Lock.SHARED)
    return await tx.as_master().all(AuthorityRow, query)


async def insert(tx: Transaction, row: AuthorityRow) -> None:
    """Adds an authority."""
    await tx.as_master().insert(AUTHORITIES, **row.model_dump())


async def let_issue(tx: Transaction, authority_id: str) -> None:
    """Lets an authority issue; the newest one that may does it."""
    changed = update(AUTHORITIES).where(AUTHORITIES.c.id == authority_id)
    await tx.as_master().change(changed.values(is_issuing=True))


async def remove(tx: Transaction, authority_id: str) -> None:
    """Removes an authority: nothing that it issued counts from now on."""
    await tx.as_master().change(delete(AUTHORITIES).where(AUTHORITIES.c.id == authority_id))
