"""The rows of drift: the files of each agent that drifts, as its newest report shows them."""

import json
from typing import Final

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Column, Text, delete

from headgate.master.domains.drift.types import DriftedFile
from headgate.master.store.schema import Tenancy, id_column, table
from headgate.master.store.transaction import Transaction

DRIFTS: Final = table(
    "agent_drifts",
    Tenancy.WORKSPACE,
    id_column("agent", is_key=True),
    Column("files", Text, nullable=False),
)

_FILES: Final = TypeAdapter(list[DriftedFile])


class _Row(BaseModel):
    files: str


async def files(tx: Transaction, agent: str) -> list[DriftedFile]:
    """Returns the files of an agent that drift; none if it did not say any."""
    row = await tx.find(_Row, DRIFTS, DRIFTS.c.agent == agent)
    return [] if row is None else _FILES.validate_json(row.files)


async def replace(tx: Transaction, agent: str, listed: list[DriftedFile]) -> None:
    """Keeps the files of an agent in place of those before."""
    await remove(tx, agent)
    if listed:
        await tx.insert(DRIFTS, agent=agent, files=json.dumps([one.model_dump() for one in listed]))


async def remove(tx: Transaction, agent: str) -> None:
    """Forgets the files of an agent."""
    await tx.change(delete(DRIFTS).where(DRIFTS.c.agent == agent))
