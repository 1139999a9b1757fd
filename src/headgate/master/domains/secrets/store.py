"""The rows of secret files; their contents are sealed."""

from typing import Final

from sqlalchemy import BigInteger, Column, String, Text, UniqueConstraint, delete, update

from headgate.master.api.filters import begins, equals
from headgate.master.api.types import Page, paged
from headgate.master.domains.secrets.types import SealedSecret, Secret, SecretWindow
from headgate.master.store.schema import Tenancy, id_column, table, time_column, version_column
from headgate.master.store.transaction import Transaction, columns_of

SECRETS: Final = table(
    "secrets",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    Column("name", String(128), nullable=False),
    Column("sealed", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    time_column("changed_at"),
    Column("changed_by", String(64), nullable=False),
    version_column(),
    UniqueConstraint("workspace_id", "name"),
)


async def find(tx: Transaction, name: str, *, is_locked: bool = False) -> Secret | None:
    """Returns a secret file without its content; locked, others wait until the transaction ends."""
    query = columns_of(SECRETS, Secret).where(SECRETS.c.name == name)
    return await tx.first(Secret, query.with_for_update() if is_locked else query)


async def every(tx: Transaction) -> list[SealedSecret]:
    """Returns all secret files of the workspace, sealed."""
    query = columns_of(SECRETS, SealedSecret).order_by(SECRETS.c.name)
    return await tx.all(SealedSecret, query)


async def listed(tx: Transaction, window: SecretWindow) -> Page[Secret]:
    """Returns secret files without their contents, by name."""
    query = columns_of(SECRETS, Secret).where(
        *begins(SECRETS.c.name, window.name_prefix),
        *equals((SECRETS.c.changed_by, window.changed_by)),
    )
    return await paged(tx, Secret, query, SECRETS.c.name, window)


async def insert(tx: Transaction, one: SealedSecret) -> None:
    """Adds a secret file; raises TakenError."""
    await tx.insert(SECRETS, **one.model_dump())


async def put(tx: Transaction, one: SealedSecret, before: int) -> int:
    """Writes a secret file if it has the version `before`; returns how many."""
    same = (SECRETS.c.id == one.id, SECRETS.c.version == before)
    return await tx.change(update(SECRETS).where(*same).values(**one.model_dump(exclude={"id"})))


async def remove(tx: Transaction, name: str) -> int:
    """Removes a secret file; returns how many."""
    return await tx.change(delete(SECRETS).where(SECRETS.c.name == name))
