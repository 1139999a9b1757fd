"""The rows of join tokens; of a secret only the digest is kept."""

import json
from typing import Final

from pydantic import BaseModel
from sqlalchemy import Column, Integer, String, Text, UniqueConstraint, delete, or_, update

from headgate.master.api.filters import Condition, equals, labelled
from headgate.master.api.types import Page, paged
from headgate.master.domains.join_tokens.types import JoinToken, JoinTokenWindow
from headgate.master.store.schema import Tenancy, id_column, table, time_column, version_column
from headgate.master.store.scope import Scope
from headgate.master.store.transaction import Transaction, columns_of

JOIN_TOKENS: Final = table(
    "join_tokens",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    id_column("fleet", is_indexed=True),
    Column("digest", String(64), nullable=False),
    Column("labels", Text, nullable=False),
    Column("uses", Integer, nullable=False),
    Column("used", Integer, nullable=False),
    Column("addresses", Text, nullable=False),
    id_column("data_plane_of", is_optional=True),
    id_column("created_by"),
    time_column("created_at"),
    time_column("expires_at"),
    time_column("revoked_at", is_optional=True),
    version_column(),
    UniqueConstraint("digest"),
)


class JoinTokenRow(BaseModel):
    """A join token as it is stored."""

    id: str
    version: int
    organisation_id: str
    workspace_id: str
    fleet: str
    digest: str
    labels: str
    uses: int
    used: int
    addresses: str
    data_plane_of: str | None
    """The agent whose data plane its holder becomes; None: it becomes an agent."""
    created_by: str
    created_at: int
    expires_at: int
    revoked_at: int | None

    @property
    def scope(self) -> Scope:
        """The workspace that it belongs to."""
        return Scope(self.organisation_id, self.workspace_id)

    def shown(self) -> JoinToken:
        """Returns it as clients see it."""
        values = self.model_dump() | {
            "labels": json.loads(self.labels),
            "addresses": self.addresses.split(),
        }
        return JoinToken.model_validate(values)


async def insert(tx: Transaction, one: JoinToken, digest: str) -> None:
    """Adds a join token."""
    values = one.model_dump() | {
        "labels": json.dumps(one.labels, sort_keys=True),
        "addresses": " ".join(one.addresses),
    }
    await tx.insert(JOIN_TOKENS, digest=digest, **values)


async def listed(
    tx: Transaction, window: JoinTokenWindow, fleet_id: str | None, now_ms: int
) -> Page[JoinToken]:
    """Returns the join tokens of the scope, or of one fleet, by id."""
    query = columns_of(JOIN_TOKENS, JoinTokenRow).where(
        *equals((JOIN_TOKENS.c.fleet, fleet_id), (JOIN_TOKENS.c.created_by, window.created_by)),
        *labelled(JOIN_TOKENS.c.labels, window.label),
        *_in_state(window.state, now_ms),
    )
    if window.expires_before is not None:
        query = query.where(JOIN_TOKENS.c.expires_at < window.expires_before)
    found = await paged(tx, JoinTokenRow, query, JOIN_TOKENS.c.id, window)
    return Page[JoinToken](items=[one.shown() for one in found.items], next=found.next)


def _in_state(state: str | None, now_ms: int) -> list[Condition]:
    if state is None:
        return []
    if state == "revoked":
        return [JOIN_TOKENS.c.revoked_at.is_not(None)]
    found: list[Condition] = [JOIN_TOKENS.c.revoked_at.is_(None)]
    if state == "expired":
        return [*found, JOIN_TOKENS.c.expires_at <= now_ms]
    is_left = JOIN_TOKENS.c.used < JOIN_TOKENS.c.uses
    return [*found, JOIN_TOKENS.c.expires_at > now_ms, is_left if state == "good" else ~is_left]


async def find(tx: Transaction, token_id: str) -> JoinTokenRow | None:
    """Returns a join token of the scope."""
    return await tx.find(JoinTokenRow, JOIN_TOKENS, JOIN_TOKENS.c.id == token_id)


async def held(tx: Transaction, digest: str) -> JoinTokenRow | None:
    """Returns the join token of that secret, of any tenant."""
    return await tx.as_master().find(JoinTokenRow, JOIN_TOKENS, JOIN_TOKENS.c.digest == digest)


async def use(tx: Transaction, token_id: str, now_ms: int) -> bool:
    """Counts a use; False if it is used up, revoked or expired, whoever else uses it now."""
    statement = update(JOIN_TOKENS).where(
        JOIN_TOKENS.c.id == token_id,
        JOIN_TOKENS.c.used < JOIN_TOKENS.c.uses,
        JOIN_TOKENS.c.revoked_at.is_(None),
        JOIN_TOKENS.c.expires_at > now_ms,
    )
    values = {"used": JOIN_TOKENS.c.used + 1, "version": JOIN_TOKENS.c.version + 1}
    return await tx.change(statement.values(values)) == 1


async def revoke(tx: Transaction, token_id: str, now_ms: int) -> int:
    """Ends a join token; returns how many that changed."""
    where = (JOIN_TOKENS.c.id == token_id, JOIN_TOKENS.c.revoked_at.is_(None))
    values = {"revoked_at": now_ms, "version": JOIN_TOKENS.c.version + 1}
    return await tx.change(update(JOIN_TOKENS).where(*where).values(values))


async def remove_all(tx: Transaction, fleet_id: str) -> int:
    """Removes the join tokens of a fleet; returns how many that were."""
    return await tx.change(delete(JOIN_TOKENS).where(JOIN_TOKENS.c.fleet == fleet_id))


async def forget(tx: Transaction, before_ms: int, most: int) -> int:
    """Removes tokens that expired or were revoked before that time."""
    over = or_(JOIN_TOKENS.c.expires_at < before_ms, JOIN_TOKENS.c.revoked_at < before_ms)
    return await tx.forget(JOIN_TOKENS, over, most=most)
