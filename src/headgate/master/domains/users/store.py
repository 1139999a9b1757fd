"""The rows of users and their roles."""

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    delete,
    select,
    update,
)

from headgate.master.access import ROLE_NAMES, Role
from headgate.master.api.filters import begins, equals
from headgate.master.domains.users.types import Account, Membership, UserWindow
from headgate.master.store.schema import Tenancy, id_column, table, time_column, version_column
from headgate.master.store.transaction import Transaction, columns_of

USERS: Final = table(
    "users",
    Tenancy.MASTER,
    id_column("id", is_key=True),
    Column("name", String(200), nullable=False),
    Column("password_hash", Text, nullable=True),
    Column("is_master_admin", Boolean, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    time_column("created_at"),
    version_column(),
    UniqueConstraint("name"),
)

MEMBERSHIPS: Final = table(
    "memberships",
    Tenancy.ORGANISATION,
    id_column("id", is_key=True),
    id_column("user_id", is_indexed=True),
    Column("workspace", String(26), nullable=False),
    Column("role", SmallInteger, nullable=False),
    time_column("created_at"),
    UniqueConstraint("organisation_id", "user_id", "workspace"),
)


async def count(tx: Transaction) -> int:
    """Returns how many users the master has."""
    return await tx.as_master().count(USERS)


async def account(tx: Transaction, user_id: str, *, is_locked: bool = False) -> Account | None:
    """Returns the user of that id; locked, others wait until the transaction ends."""
    query = columns_of(USERS, Account).where(USERS.c.id == user_id)
    return await tx.as_master().first(Account, query.with_for_update() if is_locked else query)


async def account_named(tx: Transaction, name: str, *, is_locked: bool = False) -> Account | None:
    """Returns the user of that name; locked, others wait until the transaction ends."""
    query = columns_of(USERS, Account).where(USERS.c.name == name)
    return await tx.as_master().first(Account, query.with_for_update() if is_locked else query)


async def accounts(tx: Transaction, ids: list[str]) -> list[Account]:
    """Returns the users of these ids."""
    query = columns_of(USERS, Account).where(USERS.c.id.in_(ids))
    return await tx.as_master().all(Account, query)


async def insert(tx: Transaction, one: Account) -> None:
    """Adds a user; raises TakenError."""
    await tx.as_master().insert(USERS, **one.model_dump())


async def set_password(tx: Transaction, user_id: str, password_hash: str) -> None:
    """Gives a user a password."""
    await tx.as_master().change(
        update(USERS)
        .where(USERS.c.id == user_id)
        .values(password_hash=password_hash, version=USERS.c.version + 1)
    )


async def remove(tx: Transaction, user_id: str) -> None:
    """Removes a user."""
    await tx.as_master().change(delete(USERS).where(USERS.c.id == user_id))


async def is_member(tx: Transaction, user_id: str) -> bool:
    """Says whether the user has a role in any organisation."""
    return bool(await tx.as_master().count(MEMBERSHIPS, MEMBERSHIPS.c.user_id == user_id))


async def members(tx: Transaction, ids: list[str] | None = None) -> list[Membership]:
    """Returns the roles in the scope's organisation, by user; those of `ids` if given."""
    query = columns_of(MEMBERSHIPS, Membership)
    if ids is not None:
        query = query.where(MEMBERSHIPS.c.user_id.in_(ids))
    return await tx.all(Membership, query.order_by(MEMBERSHIPS.c.user_id))


async def member_ids(tx: Transaction, window: UserWindow) -> list[str]:
    """Returns the ids of users with a role in the scope's organisation, in their order; one more
    than asked for if there are more."""
    query = (
        select(MEMBERSHIPS.c.user_id)
        .distinct()
        .where(MEMBERSHIPS.c.organisation_id == tx.scope.organisation_id)
        .where(MEMBERSHIPS.c.user_id > (window.reached() or ""))
        .where(*equals((MEMBERSHIPS.c.workspace, window.workspace)))
        .order_by(MEMBERSHIPS.c.user_id)
        .limit(window.limit + 1)
    )
    if window.role is not None:
        query = query.where(MEMBERSHIPS.c.role == int(ROLE_NAMES[window.role]))
    if window.name_prefix is None:
        return await tx.texts(query)
    # The names are the master's, so the organisation is named above.
    named = query.join(USERS, USERS.c.id == MEMBERSHIPS.c.user_id)
    return await tx.as_master().texts(named.where(*begins(USERS.c.name, window.name_prefix)))


async def put_role(
    tx: Transaction, user_id: str, grant: tuple[str, Role], row_id: str, now_ms: int
) -> None:
    """Gives a user a role in (`workspace`, role), in place of the one there."""
    workspace, role = grant
    await tx.as_master().change(
        update(USERS).where(USERS.c.id == user_id).values(version=USERS.c.version + 1)
    )
    changed = await tx.change(
        update(MEMBERSHIPS)
        .where(MEMBERSHIPS.c.user_id == user_id, MEMBERSHIPS.c.workspace == workspace)
        .values(role=int(role))
    )
    if not changed:
        await tx.insert(
            MEMBERSHIPS,
            id=row_id,
            user_id=user_id,
            workspace=workspace,
            role=int(role),
            created_at=now_ms,
        )


async def remove_roles(tx: Transaction, user_id: str) -> int:
    """Takes every role in the scope's organisation from a user; returns how many."""
    return await tx.change(delete(MEMBERSHIPS).where(MEMBERSHIPS.c.user_id == user_id))
