"""Requests with an `Idempotency-Key`: carried out once, however often they arrive."""

import hashlib
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel
from sqlalchemy import Column, SmallInteger, String, Text, delete, update

from headgate.master.api.problems import ProblemError
from headgate.master.store.errors import TakenError
from headgate.master.store.schema import Tenancy, id_column, table, time_column
from headgate.master.store.transaction import Transaction

KEPT_MS: Final = 86_400_000
LONGEST: Final = 200

REPEATS: Final = table(
    "idempotency_keys",
    Tenancy.MASTER,
    id_column("caller", is_key=True),
    Column("key", String(LONGEST), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("body", Text, nullable=True),
    Column("etag", Text, nullable=True),
    time_column("created_at"),
)


class Kept(BaseModel):
    """The answer to a request that was carried out; no body if it had a secret."""

    request: str
    status: int
    body: str | None
    etag: str | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """A request that may come again: whose, its key, and what it asks for."""

    caller: str
    key: str
    request: str


def fingerprint(method: str, path: str, query: str, body: bytes) -> str:
    """Returns what tells two requests apart."""
    return hashlib.sha256(b"\0".join([f"{method} {path}?{query}".encode(), body])).hexdigest()


async def answered(tx: Transaction, repeat: Repeat) -> Kept | None:
    """Returns the answer that was given before; refuses another request under the same key."""
    where = (REPEATS.c.caller == repeat.caller, REPEATS.c.key == repeat.key)
    kept = await tx.as_master().find(Kept, REPEATS, *where)
    if kept is not None and kept.request != repeat.request:
        raise ProblemError(
            422,
            "key-reused",
            "another request had this Idempotency-Key; give each request a key of its own",
        )
    return kept


async def claim(tx: Transaction, repeat: Repeat, status: int, now_ms: int) -> None:
    """Takes the key, in the transaction of the change itself; refuses one that is in use."""
    await tx.as_master().change(delete(REPEATS).where(REPEATS.c.created_at < now_ms - KEPT_MS))
    try:
        await tx.as_master().insert(
            REPEATS,
            caller=repeat.caller,
            key=repeat.key,
            request=repeat.request,
            status=status,
            created_at=now_ms,
        )
    except TakenError:
        raise ProblemError(
            409, "repeated", "this request is being carried out; ask again for its answer"
        ) from None


async def keep(tx: Transaction, repeat: Repeat, body: str | None, etag: str | None) -> None:
    """Keeps the answer, in the same transaction."""
    await tx.as_master().change(
        update(REPEATS)
        .where(REPEATS.c.caller == repeat.caller, REPEATS.c.key == repeat.key)
        .values(body=body, etag=etag)
    )
