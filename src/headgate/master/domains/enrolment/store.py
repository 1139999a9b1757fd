"""The rows of the fleet's certificate authorities; their keys are sealed."""

from typing import Final

from pydantic import BaseModel
from sqlalchemy import Boolean, Column, String, Text

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


async def listed(tx: Transaction) -> list[AuthorityRow]:
    """Returns the authorities, oldest first."""
    query = columns_of(AUTHORITIES, AuthorityRow).order_by(AUTHORITIES.c.id)
    return await tx.as_master().all(AuthorityRow, query)


async def insert(tx: Transaction, row: AuthorityRow) -> None:
    """Adds an authority; raises TakenError if another master was quicker."""
    await tx.as_master().insert(AUTHORITIES, **row.model_dump())
