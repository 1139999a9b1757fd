"""The rows of certificates that nodes serve with; an agent's are replaced as a whole."""

import json
from typing import Final

from pydantic import BaseModel
from sqlalchemy import Column, String, Text, delete

from headgate.fleet.frames import Inventory
from headgate.master.api.filters import begins, equals
from headgate.master.api.types import Page, paged
from headgate.master.domains.agents.store import AGENTS
from headgate.master.domains.certificates.types import CertificateWindow, ServedCertificate
from headgate.master.store.schema import Tenancy, id_column, table, time_column
from headgate.master.store.transaction import Transaction, columns_of

SERVED: Final = table(
    "served_certificates",
    Tenancy.WORKSPACE,
    # Begins with the time of its end, so that the list is in that order.
    Column("id", String(64), primary_key=True),
    id_column("agent", is_indexed=True),
    Column("name", String(255), nullable=False),
    Column("names", Text, nullable=False),
    Column("issuer", String(255), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    time_column("expires_at"),
    time_column("seen_at"),
)
_DAY_MS: Final = 86_400_000


class _Row(BaseModel):
    id: str
    agent: str
    name: str
    names: str
    issuer: str
    fingerprint: str
    expires_at: int
    seen_at: int


async def replace(tx: Transaction, agent_id: str, inventory: Inventory, now_ms: int) -> None:
    """Keeps what an agent says its node serves with, in place of what it said before."""
    await remove_all(tx, agent_id)
    rows: list[dict[str, object]] = [
        {
            "id": f"{one.not_after_ms:015d}-{agent_id}-{number:03d}",
            "agent": agent_id,
            "name": one.name,
            "names": json.dumps(one.names),
            "issuer": one.issuer,
            "fingerprint": one.fingerprint,
            "expires_at": one.not_after_ms,
            "seen_at": now_ms,
        }
        for number, one in enumerate(inventory.certificates)
    ]
    await tx.insert_all(SERVED, rows)


async def remove_all(tx: Transaction, agent_id: str) -> None:
    """Forgets what an agent said."""
    await tx.change(delete(SERVED).where(SERVED.c.agent == agent_id))


async def listed(
    tx: Transaction, window: CertificateWindow, fleet_id: str | None, now_ms: int
) -> Page[ServedCertificate]:
    """Returns certificates of the scope, or of one fleet, those that end first first; those of a
    revoked agent only if the window names it."""
    query = columns_of(SERVED, _Row).where(
        *equals((SERVED.c.agent, window.agent)), *begins(SERVED.c.name, window.name_prefix)
    )
    if window.expires_within_days is not None:
        query = query.where(SERVED.c.expires_at < now_ms + window.expires_within_days * _DAY_MS)
    if window.expires_before is not None:
        query = query.where(SERVED.c.expires_at < window.expires_before)
    query = query.join(AGENTS, AGENTS.c.id == SERVED.c.agent)
    if window.agent is None:
        query = query.where(AGENTS.c.revoked_at.is_(None))
    if fleet_id is not None:
        query = query.where(AGENTS.c.fleet == fleet_id)
    found = await paged(tx, _Row, query, SERVED.c.id, window)
    items = [
        ServedCertificate.model_validate(one.model_dump() | {"names": json.loads(one.names)})
        for one in found.items
    ]
    return Page[ServedCertificate](items=items, next=found.next)
