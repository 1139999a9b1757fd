"""The rows of drafts."""

import json
from typing import Final

from sqlalchemy import Column, String, Text, UniqueConstraint, delete, update

from headgate.master.api.filters import begins, equals
from headgate.master.api.types import Page, paged
from headgate.master.domains.drafts.types import Draft, DraftRow, DraftWindow
from headgate.master.store.schema import Tenancy, id_column, table, time_column, version_column
from headgate.master.store.transaction import Transaction, columns_of

DRAFTS: Final = table(
    "drafts",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    Column("name", String(63), nullable=False),
    Column("changes", Text, nullable=False),
    Column("created_by", String(64), nullable=False),
    time_column("changed_at"),
    version_column(),
    UniqueConstraint("workspace_id", "name"),
)


def shown(row: DraftRow) -> Draft:
    """Returns the draft of a row."""
    return Draft.model_validate(row.model_dump() | {"changes": json.loads(row.changes)})


def row_of(draft: Draft) -> dict[str, object]:
    """Returns the columns of a draft."""
    changes = json.dumps([one.model_dump(mode="json") for one in draft.changes])
    return draft.model_dump(exclude={"changes"}) | {"changes": changes}


async def find(tx: Transaction, name: str, *, is_locked: bool = False) -> Draft | None:
    """Returns a draft; locked, others wait until the transaction ends."""
    query = columns_of(DRAFTS, DraftRow).where(DRAFTS.c.name == name)
    row = await tx.first(DraftRow, query.with_for_update() if is_locked else query)
    return None if row is None else shown(row)


async def listed(tx: Transaction, window: DraftWindow) -> Page[Draft]:
    """Returns drafts, by name."""
    query = columns_of(DRAFTS, DraftRow).where(
        *begins(DRAFTS.c.name, window.name_prefix),
        *equals((DRAFTS.c.created_by, window.created_by)),
    )
    page = await paged(tx, DraftRow, query, DRAFTS.c.name, window)
    return Page[Draft](items=[shown(row) for row in page.items], next=page.next)


async def insert(tx: Transaction, draft: Draft) -> None:
    """Adds a draft; raises TakenError."""
    await tx.insert(DRAFTS, **row_of(draft))


async def put(tx: Transaction, draft: Draft, before: int) -> int:
    """Writes a draft if it has the version `before`; returns how many."""
    same = (DRAFTS.c.id == draft.id, DRAFTS.c.version == before)
    return await tx.change(update(DRAFTS).where(*same).values(**row_of(draft)))


async def remove(tx: Transaction, draft_id: str) -> int:
    """Removes a draft; returns how many."""
    return await tx.change(delete(DRAFTS).where(DRAFTS.c.id == draft_id))
