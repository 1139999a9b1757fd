"""The rows of workspaces."""

from typing import Final, NamedTuple

from sqlalchemy import Column, String, UniqueConstraint, func, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from headgate.master.access import Grant
from headgate.master.api.filters import begins, equals
from headgate.master.api.types import Page, paged
from headgate.master.domains.workspaces.types import Workspace, WorkspaceWindow
from headgate.master.store.quotas import DEFAULTS, QUOTAS
from headgate.master.store.schema import Tenancy, id_column, table, time_column, version_column
from headgate.master.store.scope import Query
from headgate.master.store.transaction import Transaction, columns_of

WORKSPACES: Final = table(
    "workspaces",
    Tenancy.ORGANISATION,
    id_column("id", is_key=True),
    Column("name", String(63), nullable=False),
    time_column("created_at"),
    version_column(),
    UniqueConstraint("organisation_id", "name"),
)


class Named(NamedTuple):
    """A workspace that a request names, and how many requests it may get."""

    organisation_id: str
    id: str
    requests_per_minute: int


async def named(tx: Transaction, key: str, grants: tuple[Grant, ...]) -> list[Named]:
    """Returns the workspaces with that id or name that the grants reach; two at most.

    One statement with their quota, for every request asks.
    """
    per_minute = QUOTAS.c.requests_per_minute
    query: Query = (
        select(
            WORKSPACES.c.organisation_id,
            WORKSPACES.c.id,
            func.coalesce(per_minute, DEFAULTS.requests_per_minute),
        )
        .select_from(WORKSPACES.outerjoin(QUOTAS, QUOTAS.c.workspace == WORKSPACES.c.id))
        .where(
            _reached_by(grants),
            (WORKSPACES.c.id == key) | (WORKSPACES.c.name == key),
        )
    )
    return await tx.as_master().tuples(Named, query.limit(2))


async def find(tx: Transaction, workspace_id: str) -> Workspace | None:
    """Returns the workspace of that id in the scope."""
    return await tx.find(Workspace, WORKSPACES, WORKSPACES.c.id == workspace_id)


async def listed(
    tx: Transaction, grants: tuple[Grant, ...], window: WorkspaceWindow
) -> Page[Workspace]:
    """Returns those that the grants reach, by id."""
    query = columns_of(WORKSPACES, Workspace).where(
        _reached_by(grants),
        *begins(WORKSPACES.c.name, window.name_prefix),
        *equals((WORKSPACES.c.organisation_id, window.organisation)),
    )
    return await paged(tx.as_master(), Workspace, query, WORKSPACES.c.id, window)


def _reached_by(grants: tuple[Grant, ...]) -> ColumnElement[bool]:
    """Returns what the workspaces fulfil in which one of the grants counts."""
    whole = {grant.organisation_id for grant in grants if not grant.workspace_id}
    single = {grant.workspace_id for grant in grants if grant.workspace_id}
    return or_(WORKSPACES.c.organisation_id.in_(sorted(whole)), WORKSPACES.c.id.in_(sorted(single)))


async def insert(tx: Transaction, one: Workspace) -> None:
    """Adds a workspace; raises TakenError."""
    await tx.insert(WORKSPACES, **one.model_dump())


async def rename(tx: Transaction, current: Workspace, name: str) -> int:
    """Renames it if it is still that version; returns how many rows changed."""
    return await tx.change(
        update(WORKSPACES)
        .where(WORKSPACES.c.id == current.id, WORKSPACES.c.version == current.version)
        .values(name=name, version=current.version + 1)
    )
