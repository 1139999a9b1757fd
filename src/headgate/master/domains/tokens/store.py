"""The rows of API tokens; of a secret only the digest is kept."""

from typing import Final

from sqlalchemy import Column, SmallInteger, String, Text, UniqueConstraint, or_, update

from headgate.master.access import ROLE_NAMES, Role
from headgate.master.api.filters import Condition, begins, equals
from headgate.master.api.types import Page, paged
from headgate.master.domains.tokens.types import ApiToken, HeldToken, TokenWindow
from headgate.master.store.schema import (
    Counted,
    Tenancy,
    id_column,
    table,
    time_column,
    version_column,
)
from headgate.master.store.transaction import Transaction, columns_of

TOKENS: Final = table(
    "api_tokens",
    Tenancy.ORGANISATION,
    id_column("id", is_key=True),
    Column("name", String(63), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("workspace", String(26), nullable=False),
    Column("role", SmallInteger, nullable=False),
    Column("permissions", Text, nullable=True),
    id_column("created_by"),
    time_column("created_at"),
    time_column("expires_at"),
    time_column("revoked_at", is_optional=True),
    version_column(),
    UniqueConstraint("digest"),
    UniqueConstraint("organisation_id", "name"),
    counted=Counted("tokens", workspace="workspace", ended="revoked_at"),
)


async def insert(tx: Transaction, one: ApiToken, role: Role, digest: str) -> None:
    """Adds a token; raises TakenError."""
    values = one.model_dump() | {
        "role": int(role),
        "permissions": None if one.permissions is None else " ".join(one.permissions),
    }
    await tx.insert(TOKENS, digest=digest, **values)


async def listed(tx: Transaction, window: TokenWindow, now_ms: int) -> Page[ApiToken]:
    """Returns the tokens of the scope, by id."""
    query = columns_of(TOKENS, ApiToken).where(
        *begins(TOKENS.c.name, window.name_prefix),
        *equals((TOKENS.c.workspace, window.workspace), (TOKENS.c.created_by, window.created_by)),
        *_in_state(window.state, now_ms),
    )
    if window.role is not None:
        query = query.where(TOKENS.c.role == int(ROLE_NAMES[window.role]))
    if window.expires_before is not None:
        query = query.where(TOKENS.c.expires_at < window.expires_before)
    return await paged(tx, ApiToken, query, TOKENS.c.id, window)


def _in_state(state: str | None, now_ms: int) -> list[Condition]:
    if state is None:
        return []
    if state == "revoked":
        return [TOKENS.c.revoked_at.is_not(None)]
    expires_at = TOKENS.c.expires_at
    is_good = state == "good"
    return [
        TOKENS.c.revoked_at.is_(None),
        expires_at > now_ms if is_good else expires_at <= now_ms,
    ]


async def find(tx: Transaction, token_id: str) -> ApiToken | None:
    """Returns a token."""
    return await tx.find(ApiToken, TOKENS, TOKENS.c.id == token_id)


async def held(tx: Transaction, digest: str) -> HeldToken | None:
    """Returns the token of that secret, of any tenant."""
    return await tx.as_master().find(HeldToken, TOKENS, TOKENS.c.digest == digest)


async def revoke(tx: Transaction, token_id: str, now_ms: int) -> int:
    """Ends a token; returns how many that changed."""
    statement = update(TOKENS).where(TOKENS.c.id == token_id, TOKENS.c.revoked_at.is_(None))
    return await tx.change(statement.values(revoked_at=now_ms, version=TOKENS.c.version + 1))


async def made_by(tx: Transaction, makers: list[str]) -> list[ApiToken]:
    """Returns the tokens of the scope that these users and tokens made, good or not."""
    query = columns_of(TOKENS, ApiToken).where(TOKENS.c.created_by.in_(makers))
    return await tx.all(ApiToken, query.order_by(TOKENS.c.id))


async def narrow(tx: Transaction, token_id: str, role: Role) -> None:
    """Gives a token another role."""
    statement = update(TOKENS).where(TOKENS.c.id == token_id)
    await tx.change(statement.values(role=int(role), version=TOKENS.c.version + 1))


async def forget(tx: Transaction, before_ms: int, most: int) -> int:
    """Removes tokens that expired or were revoked before that time."""
    over = or_(TOKENS.c.expires_at < before_ms, TOKENS.c.revoked_at < before_ms)
    return await tx.forget(TOKENS, over, most=most)
