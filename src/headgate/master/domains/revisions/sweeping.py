"""Removes contents that no revision names any more: their revisions were pruned, or their fleet is
gone.

Manifests are read in many short looks, beside which others write. Only what none of them names is
looked at again in a writing transaction, together with the revisions of the last day: their ids may
be older than the moment at which they were stored.
"""

import re
from collections.abc import Collection
from typing import Final

from sqlalchemy import Table, delete, select

from headgate.master.domains.revisions import store
from headgate.master.domains.revisions.store import BLOBS, REVISION_NODES, REVISIONS
from headgate.master.domains.revisions.types import Named, Owner
from headgate.master.ids import oldest_id
from headgate.master.store.database import Database
from headgate.master.store.scope import MASTER, Query, Scope
from headgate.master.store.transaction import Transaction, columns_of

DAY_MS: Final = 86_400_000
_AT_ONCE: Final = 500
_LOOK: Final = 50
_NAMING: Final = (REVISIONS, REVISION_NODES)
"""The tables whose manifests name contents."""
_HASH: Final = re.compile(rb"[0-9a-f]{64}")


async def sweep(database: Database, now_ms: int) -> int:
    """Removes what was stored more than a day ago and is named by no revision; returns how many
    contents."""
    removed = 0
    for scope in await _workspaces(database):
        found = await _unnamed(database, scope, oldest_id(now_ms - DAY_MS))
        for start in range(0, len(found), _AT_ONCE):
            part = found[start : start + _AT_ONCE]
            removed += await database.write(
                scope,
                lambda tx, part=part: _remove(tx, part, now_ms),  # type: ignore[misc]
            )
    return removed


async def _workspaces(database: Database) -> list[Scope]:
    async with database.read(MASTER) as tx:
        query: Query = select(BLOBS.c.workspace_id, BLOBS.c.organisation_id).distinct()
        rows = await tx.all(Owner, query)
    return [Scope(one.organisation_id, one.workspace_id) for one in rows]


async def _unnamed(database: Database, scope: Scope, before: str) -> list[str]:
    """Returns the hashes of contents from before an id that no manifest names, sorted."""
    async with database.read(scope) as tx:
        query: Query = select(BLOBS.c.sha256).where(BLOBS.c.id < before)
        left = set(await tx.texts(query))
    for of in _NAMING:
        after = ""
        while left:
            async with database.read(scope) as tx:
                seen = await _manifests(tx, of, after)
            if not seen:
                break
            after = seen[-1].id
            _without(left, seen)
    return sorted(left)


async def _remove(tx: Transaction, hashes: Collection[str], now_ms: int) -> int:
    """Removes those that still no revision names. Whoever publishes one of them meanwhile waits for
    its row, or we for theirs: `store.blobs` locks what is there."""
    left = set(await store.blobs(tx, hashes, is_locked=True))
    for of in _NAMING:
        after = oldest_id(now_ms - DAY_MS)
        while left and (seen := await _manifests(tx, of, after)):
            after = seen[-1].id
            _without(left, seen)
    if not left:
        return 0
    return await tx.change(delete(BLOBS).where(BLOBS.c.sha256.in_(sorted(left))))


async def _manifests(tx: Transaction, of: Table, after: str) -> list[Named]:
    query = columns_of(of, Named).where(of.c.id > after)
    return await tx.all(Named, query.order_by(of.c.id).limit(_LOOK))


def _without(left: set[str], seen: list[Named]) -> None:
    for one in seen:
        left.difference_update(text.decode() for text in _HASH.findall(one.manifest))
