"""Searches that masters of one database ask each other for, and the answers: rows that live for
seconds. What is looked for, and what was found, is sealed."""

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel
from sqlalchemy import Column, Text, delete

from headgate.master.store.schema import Tenancy, id_column, table, time_column
from headgate.master.store.transaction import Transaction, columns_of

ASKS: Final = table(
    "log_asks",
    Tenancy.MASTER,
    id_column("id", is_key=True),
    Column("agents", Text, nullable=False),
    Column("search", Text, nullable=False),
    time_column("until_at"),
)
ANSWERS: Final = table(
    "log_answers",
    Tenancy.MASTER,
    id_column("id", is_key=True),
    id_column("ask", is_indexed=True),
    Column("found", Text, nullable=False),
    time_column("until_at"),
)
MOST_ASKS: Final = 32


class Ask(BaseModel):
    """A search. `agents`: ids and names, as JSON; `search` is sealed."""

    id: str
    agents: str
    search: str


class Answer(BaseModel):
    """The findings of one master; `found` is sealed."""

    id: str
    found: str


async def asks(tx: Transaction, since_ms: int) -> list[Ask]:
    """Returns searches that are waited for, the oldest first."""
    query = columns_of(ASKS, Ask).where(ASKS.c.until_at > since_ms)
    return await tx.all(Ask, query.order_by(ASKS.c.id).limit(MOST_ASKS))


async def is_asked(tx: Transaction, ask: str) -> bool:
    """Says whether a search is still waited for."""
    return await tx.count(ASKS, ASKS.c.id == ask) > 0


async def answers(tx: Transaction, ask: str, seen: Sequence[str]) -> list[Answer]:
    """Returns the answers to a search that were not seen yet."""
    query = columns_of(ANSWERS, Answer).where(ANSWERS.c.ask == ask, ANSWERS.c.id.not_in(seen))
    return await tx.all(Answer, query.order_by(ANSWERS.c.id))


async def forget(tx: Transaction, ask: str) -> None:
    """Removes a search and its answers."""
    await tx.change(delete(ASKS).where(ASKS.c.id == ask))
    await tx.change(delete(ANSWERS).where(ANSWERS.c.ask == ask))


async def sweep(tx: Transaction, before_ms: int) -> None:
    """Removes what a master left behind that died meanwhile."""
    await tx.change(delete(ASKS).where(ASKS.c.until_at < before_ms))
    await tx.change(delete(ANSWERS).where(ANSWERS.c.until_at < before_ms))
