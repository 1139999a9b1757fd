"""The rows of resources."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

import msgspec
from pydantic import BaseModel
from sqlalchemy import Column, Index, String, Text, UniqueConstraint, delete, update

from headgate.master.api.filters import begins, chosen, equals, labelled
from headgate.master.api.types import part, rfc3339
from headgate.master.domains.resources.set_names import DEFAULT_SET
from headgate.master.domains.resources.types import Resource, ResourceWindow, Row
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
    Column("set_name", String(63), nullable=False, server_default=DEFAULT_SET),
    time_column("changed_at"),
    Column("changed_by", String(64), nullable=False),
    version_column(),
    UniqueConstraint("workspace_id", "path"),
    Index("ix_resources_workspace_id_kind_path", "workspace_id", "kind", "path"),
    Index("ix_resources_workspace_id_set_name_path", "workspace_id", "set_name", "path"),
    counted=Counted("routes", only=(("kind", "routes"),)),
)


_LISTED: Final = columns_of(RESOURCES, Row)
_AT_ONCE: Final = 500


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
    set: str
    changed_at: str
    changed_by: str


def written(rows: Sequence[Row], following: str | None) -> bytes:
    """Returns a `Page[Resource]` as JSON; `following`: the cursor of the next part, if any."""
    return msgspec.json.encode({"items": [_item(row) for row in rows], "next": following})


def _item(row: Row) -> _Item:
    return _Item(
        row.id,
        row.version,
        row.kind,
        row.name,
        row.path,
        msgspec.Raw(row.spec),
        msgspec.Raw(row.fleets),
        row.set_name,
        rfc3339(row.changed_at),
        row.changed_by,
    )


def shown(row: Row) -> Resource:
    """Returns the resource of a row."""
    read = {"spec": json.loads(row.spec), "fleets": json.loads(row.fleets), "set": row.set_name}
    return Resource.model_validate(row.model_dump(exclude={"set_name"}) | read)


async def find(tx: Transaction, path: str) -> Row | None:
    """Returns the resource at a path."""
    return await tx.find(Row, RESOURCES, RESOURCES.c.path == path)


async def every(tx: Transaction) -> list[Row]:
    """Returns all resources of the workspace, by path."""
    return await tx.all(Row, columns_of(RESOURCES, Row).order_by(RESOURCES.c.path))


async def listed(
    tx: Transaction, window: ResourceWindow, labels: Mapping[str, str] | None
) -> bytes:
    """Returns a page of resources, by path, as JSON; with the `labels` of a fleet those that go
    there. Each filter is applied in the order of an index."""
    query = _LISTED.where(
        *equals(
            (RESOURCES.c.kind, window.kind),
            (RESOURCES.c.set_name, window.set),
            (RESOURCES.c.changed_by, window.changed_by),
        ),
        *begins(RESOURCES.c.name, window.name_prefix),
        *labelled(RESOURCES.c.fleets, window.label),
    )
    if labels is not None:
        query = query.where(chosen(RESOURCES.c.fleets, labels))
    rows = await tx.all(Row, part(query, RESOURCES.c.path, window))
    is_more = len(rows) > window.limit
    return written(
        rows[: window.limit], window.following(rows[window.limit - 1].path) if is_more else None
    )


class _Owner(BaseModel):
    path: str
    set_name: str


async def owners(tx: Transaction, paths: Iterable[str]) -> dict[str, str]:
    """Returns the sets that those of these objects belong to that there are, by path."""
    found: dict[str, str] = {}
    rest = iter(paths)
    while some := list(islice(rest, _AT_ONCE)):
        query = columns_of(RESOURCES, _Owner).where(RESOURCES.c.path.in_(some))
        found |= {one.path: one.set_name for one in await tx.all(_Owner, query)}
    return found


async def insert(tx: Transaction, row: Row) -> None:
    """Adds a resource; raises TakenError."""
    await tx.insert(RESOURCES, **row.model_dump())


async def put(tx: Transaction, row: Row, current: Row) -> int:
    """Writes a resource in place of `current`; returns 0 if that is not there any more."""
    same = (RESOURCES.c.id == current.id, RESOURCES.c.version == current.version)
    values = row.model_dump(exclude={"id", "kind", "name", "path"})
    return await tx.change(update(RESOURCES).where(*same).values(**values))


async def remove(tx: Transaction, current: Row) -> int:
    """Removes a resource; returns 0 if it is not that version any more."""
    same = (RESOURCES.c.id == current.id, RESOURCES.c.version == current.version)
    return await tx.change(delete(RESOURCES).where(*same))
