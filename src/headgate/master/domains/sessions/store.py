"""The rows of sessions, refresh tokens, set-up links and signing keys."""

from typing import Final

from sqlalchemy import Column, String, Text, UniqueConstraint, delete, or_, select, update

from headgate.master.api.filters import Condition
from headgate.master.domains.sessions.types import (
    Link,
    RefreshToken,
    Session,
    SignedIn,
    SigningKey,
)
from headgate.master.domains.users.store import MEMBERSHIPS, USERS
from headgate.master.ids import new_id
from headgate.master.store.schema import ID_LENGTH, Tenancy, id_column, table, time_column
from headgate.master.store.scope import Query
from headgate.master.store.transaction import Transaction, columns_of

__all__ = ["ID_LENGTH"]

SESSIONS: Final = table(
    "sessions",
    Tenancy.MASTER,
    id_column("id", is_key=True),
    id_column("user_id", is_indexed=True),
    time_column("created_at"),
    time_column("expires_at"),
    time_column("ended_at", is_optional=True),
)
REFRESH_TOKENS: Final = table(
    "refresh_tokens",
    Tenancy.MASTER,
    Column("digest", String(64), primary_key=True),
    id_column("session_id", is_indexed=True),
    time_column("created_at"),
    time_column("used_at", is_optional=True),
)
LINKS: Final = table(
    "setup_links",
    Tenancy.MASTER,
    id_column("id", is_key=True),
    Column("digest", String(64), nullable=False),
    id_column("user_id", is_indexed=True, is_optional=True),
    time_column("created_at"),
    time_column("expires_at"),
    time_column("used_at", is_optional=True),
    UniqueConstraint("digest"),
)
SIGNING_KEYS: Final = table(
    "signing_keys",
    Tenancy.MASTER,
    id_column("id", is_key=True),
    Column("sealed", Text, nullable=False),
    time_column("created_at"),
)


async def add_link(
    tx: Transaction, digest: str, user_id: str | None, now_ms: int, expires_at: int
) -> None:
    """Adds a set-up link; the user's older ones are good no more."""
    await tx.as_master().change(delete(LINKS).where(LINKS.c.user_id == user_id))
    await tx.as_master().insert(
        LINKS,
        id=new_id(now_ms),
        digest=digest,
        user_id=user_id,
        created_at=now_ms,
        expires_at=expires_at,
    )


def _is_good(digest: str, now_ms: int) -> tuple[Condition, ...]:
    return LINKS.c.digest == digest, LINKS.c.used_at.is_(None), LINKS.c.expires_at > now_ms


async def is_good_link(tx: Transaction, digest: str, now_ms: int) -> bool:
    """Reports whether a link is known, and neither used nor expired."""
    return await tx.as_master().find(Link, LINKS, *_is_good(digest, now_ms)) is not None


async def use_link(tx: Transaction, digest: str, now_ms: int) -> Link | None:
    """Uses a link up; None if it is unknown, used or expired."""
    used = await tx.as_master().change(
        update(LINKS).where(*_is_good(digest, now_ms)).values(used_at=now_ms)
    )
    return await tx.as_master().find(Link, LINKS, LINKS.c.digest == digest) if used else None


async def add_session(tx: Transaction, one: Session, now_ms: int) -> None:
    """Adds a session."""
    await tx.as_master().insert(SESSIONS, **one.model_dump(), created_at=now_ms)


async def find_session(tx: Transaction, session_id: str) -> Session | None:
    """Returns a session."""
    return await tx.as_master().find(Session, SESSIONS, SESSIONS.c.id == session_id)


async def signed_in(tx: Transaction, user_id: str, session_id: str) -> list[SignedIn]:
    """Returns the user of a session: a row for each of their roles, or one without a role; none if
    there is no such session of this user. One statement, for every request asks."""
    ours = SESSIONS.join(USERS, USERS.c.id == SESSIONS.c.user_id)
    query: Query = (
        select(
            SESSIONS.c.ended_at,
            SESSIONS.c.expires_at,
            USERS.c.name,
            USERS.c.is_master_admin,
            USERS.c.is_disabled,
            MEMBERSHIPS.c.organisation_id,
            MEMBERSHIPS.c.workspace,
            MEMBERSHIPS.c.role,
        )
        .select_from(ours.outerjoin(MEMBERSHIPS, MEMBERSHIPS.c.user_id == USERS.c.id))
        .where(SESSIONS.c.id == session_id, SESSIONS.c.user_id == user_id)
    )
    return await tx.as_master().tuples(SignedIn, query)


async def end_sessions(
    tx: Transaction, now_ms: int, *, session_id: str = "", user_id: str = ""
) -> None:
    """Ends a session, or all of a user."""
    which = SESSIONS.c.id == session_id if session_id else SESSIONS.c.user_id == user_id
    await tx.as_master().change(
        update(SESSIONS).where(which, SESSIONS.c.ended_at.is_(None)).values(ended_at=now_ms)
    )


async def remove_all(tx: Transaction, user_id: str) -> None:
    """Removes the sessions of a user, with their refresh tokens, and the user's links."""
    theirs = select(SESSIONS.c.id).where(SESSIONS.c.user_id == user_id)
    for statement in (
        delete(REFRESH_TOKENS).where(REFRESH_TOKENS.c.session_id.in_(theirs)),
        delete(SESSIONS).where(SESSIONS.c.user_id == user_id),
        delete(LINKS).where(LINKS.c.user_id == user_id),
    ):
        await tx.as_master().change(statement)


async def add_refresh(tx: Transaction, digest: str, session_id: str, now_ms: int) -> None:
    """Adds a refresh token of a session."""
    await tx.as_master().insert(
        REFRESH_TOKENS, digest=digest, session_id=session_id, created_at=now_ms
    )


async def find_refresh(tx: Transaction, digest: str) -> RefreshToken | None:
    """Returns a refresh token."""
    where = REFRESH_TOKENS.c.digest == digest
    return await tx.as_master().find(RefreshToken, REFRESH_TOKENS, where)


async def use_refresh(tx: Transaction, digest: str, now_ms: int) -> bool:
    """Uses a refresh token up; False if it was used before."""
    statement = update(REFRESH_TOKENS).where(
        REFRESH_TOKENS.c.digest == digest, REFRESH_TOKENS.c.used_at.is_(None)
    )
    return bool(await tx.as_master().change(statement.values(used_at=now_ms)))


async def signing_keys(tx: Transaction, since_ms: int) -> list[SigningKey]:
    """Returns the keys made after that time."""
    query = columns_of(SIGNING_KEYS, SigningKey).where(SIGNING_KEYS.c.created_at > since_ms)
    return await tx.as_master().all(SigningKey, query)


async def add_signing_key(tx: Transaction, key_id: str, sealed: str, now_ms: int) -> None:
    """Adds a key."""
    await tx.as_master().insert(SIGNING_KEYS, id=key_id, sealed=sealed, created_at=now_ms)


async def forget_signing_keys(tx: Transaction, before_ms: int) -> None:
    """Removes keys that verify nothing any more."""
    await tx.as_master().change(delete(SIGNING_KEYS).where(SIGNING_KEYS.c.created_at < before_ms))


async def forget(tx: Transaction, before_ms: int, most: int) -> int:
    """Removes sessions that ended before that time, with their refresh tokens, and old links."""
    over = or_(SESSIONS.c.ended_at < before_ms, SESSIONS.c.expires_at < before_ms)
    theirs = REFRESH_TOKENS.c.session_id.in_(select(SESSIONS.c.id).where(over))
    tokens = await tx.forget(REFRESH_TOKENS, theirs, most=most)
    if tokens == most:
        return tokens  # a session goes after all of its tokens
    sessions = await tx.forget(SESSIONS, over, most=most)
    return max(tokens, sessions, await tx.forget(LINKS, LINKS.c.expires_at < before_ms, most=most))
