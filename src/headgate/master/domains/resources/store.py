"""The rows of resources."""

import json
from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import Column, Index, String, Text, UniqueConstraint, delete, update

from headgate.master.api.types import Window, cursor_of, part, rfc3339
from headgate.master.domains.resources.types import Resource, Row
from headgate.master.store.schema import (
    Counted,
    Tenancy,
    id_column,
    table,
    time_column,
    version_column,
)
from headgate.master.store.transaction import Transaction, columns_of

RESOURCES: Final = table(
    "resources",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    Column("kind", String(32), nullable=False),
    Column("name", String(200), nullable=False),
    Column("path", String(700), nullable=False),
    Column("spec", Text, nullable=False),
    Column("fleets", Text, nullable=False),
    time_column("changed_at"),
    Column("changed_by", String(64), nullable=False),
    version_column(),
    UniqueConstraint("workspace_id", "path"),
    Index("ix_resources_workspace_id_kind_path", "workspace_id", "kind", "path"),
    counted=Counted("routes", only=(("kind", "routes"),)),
)


_LISTED: Final = columns_of(RESOURCES, Row)


class _Item(msgspec.Struct, frozen=True):
    """A resource as `Resource` is written. `spec` and `fleets` are JSON in the database, too, and
    are not read to be written again."""

    id: str
    version: int
    kind: str
    name: str
    path: str
    spec: msgspec.Raw
    fleets: msgspec.Raw
    changed_at: str
    changed_by: str


def written(rows: Sequence[Row], last: str | None) -> bytes:
    """Returns a `Page[Resource]` as JSON; `last`: the path that the next part follows, if any."""
    page = {"items": [_item(row) for row in rows], "next": cursor_of(last) if last else None}
    return msgspec.json.encode(page)


def _item(row: Row) -> _Item:
    return _Item(
        row.id,
        row.version,
        row.kind,
        row.name,
        row.path,
        msgspec.Raw(row.spec),
        msgspec.Raw(row.fleets),
        rfc3339(row.changed_at),
        row.changed_by,
    )


def shown(row: Row) -> Resource:
    """Returns the resource of a row."""
    read = {"spec": json.loads(row.spec), "fleets": json.loads(row.fleets)}
    return Resource.model_validate(row.model_dump() | read)


async def find(tx: Transaction, path: str) -> Row | None:
    """Returns the resource at a path."""
    return await tx.find(Row, RESOURCES, RESOURCES.c.path == path)


async def every(tx: Transaction) -> list[Row]:
    """Returns all resources of the workspace, by path."""
    return await tx.all(Row, columns_of(RESOURCES, Row).order_by(RESOURCES.c.path))


async def listed(tx: Transaction, kind: str | None, window: Window) -> bytes:
    """Returns a page of resources, by path, as JSON; those of one kind if it is given."""
    query = _LISTED if kind is None else _LISTED.where(RESOURCES.c.kind == kind)
    rows = await tx.all(Row, part(query, RESOURCES.c.path, window))
    following = rows[window.limit - 1].path if len(rows) > window.limit else None
    return written(rows[: window.limit], following)


async def insert(tx: Transaction, row: Row) -> None:
    """Adds a resource; raises TakenError."""
    await tx.insert(RESOURCES, **row.model_dump())


async def put(tx: Transaction, row: Row, current: Row) -> int:
    """Writes a resource in place of `current`; returns 0 if that is not there any more."""
    same = (RESOURCES.c.id == current.id, RESOURCES.c.version == current.version)
    values = row.model_dump(include={"spec", "fleets", "version", "changed_at", "changed_by"})
    return await tx.change(update(RESOURCES).where(*same).values(**values))


async def remove(tx: Transaction, current: Row) -> int:
    """Removes a resource; returns 0 if it is not that version any more."""
    same = (RESOURCES.c.id == current.id, RESOURCES.c.version == current.version)
    return await tx.change(delete(RESOURCES).where(*same))
