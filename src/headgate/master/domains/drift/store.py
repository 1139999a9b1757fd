"""The rows of drift: the files of each agent that drifts, as its newest report shows them, and what
was made of them as a proposal."""

import hashlib
import json
from typing import Final

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Column, Integer, String, Text, delete

from headgate.master.domains.drift.types import DriftedFile
from headgate.master.store.schema import Tenancy, id_column, table, time_column
from headgate.master.store.transaction import Transaction

DRIFTS: Final = table(
    "agent_drifts",
    Tenancy.WORKSPACE,
    id_column("agent", is_key=True),
    Column("files", Text, nullable=False),
    Column("digest", String(64), nullable=True),
)
PROPOSALS: Final = table(
    "drift_proposals",
    Tenancy.WORKSPACE,
    id_column("agent", is_key=True),
    Column("of", String(64), nullable=False),
    Column("draft", String(63), nullable=False),
    Column("version", Integer, nullable=False),
    Column("why", Text, nullable=False),
    time_column("at"),
)

_FILES: Final = TypeAdapter(list[DriftedFile])


class ProposalRow(BaseModel):
    """The newest proposal of an agent: `of` is the digest of the files that it is about, `draft`
    and `version` are the draft as it was made last, `why` says why there is none of these files."""

    agent: str
    of: str
    draft: str
    version: int
    why: str
    at: int


class _Row(BaseModel):
    files: str
    digest: str | None


async def files(tx: Transaction, agent: str) -> list[DriftedFile]:
    """Returns the files of an agent that drift; none if it did not say any."""
    row = await tx.find(_Row, DRIFTS, DRIFTS.c.agent == agent)
    return [] if row is None else _FILES.validate_json(row.files)


async def digest(tx: Transaction, agent: str) -> str | None:
    """Returns the digest of the files of an agent that drift; None if none do."""
    row = await tx.find(_Row, DRIFTS, DRIFTS.c.agent == agent)
    return None if row is None else row.digest


async def proposal(tx: Transaction, agent: str) -> ProposalRow | None:
    """Returns the newest proposal of an agent."""
    return await tx.find(ProposalRow, PROPOSALS, PROPOSALS.c.agent == agent)


async def keep(tx: Transaction, row: ProposalRow) -> None:
    """Keeps the newest proposal of an agent in place of the one before."""
    await tx.change(delete(PROPOSALS).where(PROPOSALS.c.agent == row.agent))
    await tx.insert(PROPOSALS, **row.model_dump())


async def forget(tx: Transaction, agent: str) -> None:
    """Forgets all of an agent that was removed."""
    await remove(tx, agent)
    await tx.change(delete(PROPOSALS).where(PROPOSALS.c.agent == agent))


async def replace(tx: Transaction, agent: str, listed: list[DriftedFile]) -> None:
    """Keeps the files of an agent in place of those before."""
    await remove(tx, agent)
    if listed:
        text = json.dumps([one.model_dump() for one in listed])
        await tx.insert(DRIFTS, agent=agent, files=text, digest=_digest(listed))


def _digest(listed: list[DriftedFile]) -> str:
    """Returns the digest of what differs; a node that starts again sees it from a later time on."""
    said = [one.model_dump(exclude={"since"}) for one in listed]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


async def remove(tx: Transaction, agent: str) -> None:
    """Forgets the files of an agent."""
    await tx.change(delete(DRIFTS).where(DRIFTS.c.agent == agent))
