"""The rows of revisions, of the contents that they name, and of the keys that sign them."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from pydantic import BaseModel
from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    delete,
    select,
)

from headgate.master.api.filters import between, equals
from headgate.master.api.types import Page, paged
from headgate.master.domains.revisions.types import (
    Blob,
    ManifestKey,
    NodeManifest,
    Revision,
    RevisionWindow,
    SignedManifest,
)
from headgate.master.ids import new_id
from headgate.master.store.schema import Tenancy, id_column, table, time_column, version_column
from headgate.master.store.scope import Query
from headgate.master.store.transaction import Transaction, columns_of

REVISIONS: Final = table(
    "revisions",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    id_column("fleet_id", is_indexed=True),
    Column("number", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("author", String(64), nullable=False),
    Column("author_name", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("restores", BigInteger, nullable=True),
    Column("recipes", Text, nullable=True),
    time_column("created_at"),
    version_column(),
    UniqueConstraint("fleet_id", "number"),
)
REVISION_NODES: Final = table(
    "revision_nodes",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    id_column("revision_id", is_indexed=True),
    id_column("agent"),
    Column("hash", String(64), nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    UniqueConstraint("revision_id", "agent"),
)
BLOBS: Final = table(
    "blobs",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    Column("sha256", String(64), nullable=False),
    Column("content", LargeBinary, nullable=True),
    Column("sealed", Text, nullable=True),
    UniqueConstraint("workspace_id", "sha256"),
)
MANIFEST_KEYS: Final = table(
    "manifest_keys",
    Tenancy.MASTER,
    id_column("id", is_key=True),
    Column("sealed", Text, nullable=False),
    Column("public", LargeBinary, nullable=False),
    time_column("created_at"),
)

_NODES_AT_ONCE: Final = 200
"""So many manifests of nodes are written at once."""
_AT_ONCE = 500


async def find(tx: Transaction, revision_id: str) -> Revision | None:
    """Returns a revision."""
    return await tx.find(Revision, REVISIONS, REVISIONS.c.id == revision_id)


async def newest(tx: Transaction, fleet_id: str) -> SignedManifest | None:
    """Returns what was published last to a fleet."""
    query = columns_of(REVISIONS, SignedManifest).where(REVISIONS.c.fleet_id == fleet_id)
    return await tx.first(SignedManifest, query.order_by(REVISIONS.c.number.desc()))


async def numbered(tx: Transaction, fleet_id: str, number: int) -> SignedManifest | None:
    """Returns the revision of a fleet that has that number."""
    where = (REVISIONS.c.fleet_id == fleet_id, REVISIONS.c.number == number)
    return await tx.find(SignedManifest, REVISIONS, *where)


async def manifest(tx: Transaction, revision_id: str) -> SignedManifest | None:
    """Returns the manifest of a revision, as agents get it."""
    return await tx.find(SignedManifest, REVISIONS, REVISIONS.c.id == revision_id)


async def listed(tx: Transaction, fleet_id: str | None, window: RevisionWindow) -> Page[Revision]:
    """Returns revisions, the newest first; those of one fleet if it is given."""
    query = columns_of(REVISIONS, Revision).where(
        *equals((REVISIONS.c.fleet_id, fleet_id)),
        *between(REVISIONS.c.id, window.since, window.until),
    )
    if window.author is not None:
        named = REVISIONS.c.author_name == window.author
        query = query.where((REVISIONS.c.author == window.author) | named)
    return await paged(tx, Revision, query, REVISIONS.c.id, window, is_newest_first=True)


async def insert(tx: Transaction, revision: Revision, signed: SignedManifest) -> None:
    """Adds a revision; raises TakenError."""
    values = revision.model_dump() | {
        "manifest": signed.manifest,
        "signature": signed.signature,
        "recipes": signed.recipes,
    }
    await tx.insert(REVISIONS, **values)


class _NodeHash(BaseModel):
    agent: str
    hash: str


async def add_nodes(tx: Transaction, found: Iterable[NodeManifest]) -> None:
    """Adds what nodes get of a revision; raises TakenError if one of them has it already."""
    rows = iter(found)
    while part := [one.model_dump() for one in islice(rows, _NODES_AT_ONCE)]:
        await tx.insert_all(REVISION_NODES, part)


async def node_manifest(tx: Transaction, revision_id: str, agent: str) -> NodeManifest | None:
    """Returns what a node gets of a revision; None if nobody has made that yet."""
    where = (REVISION_NODES.c.revision_id == revision_id, REVISION_NODES.c.agent == agent)
    return await tx.find(NodeManifest, REVISION_NODES, *where)


async def node_hashes(tx: Transaction, revision_id: str) -> dict[str, str]:
    """Returns the hash of what each node gets of a revision, by agent; those that were made."""
    query = columns_of(REVISION_NODES, _NodeHash)
    found = await tx.all(_NodeHash, query.where(REVISION_NODES.c.revision_id == revision_id))
    return {one.agent: one.hash for one in found}


async def node_manifests(
    tx: Transaction, revision_id: str, agents: Iterable[str]
) -> dict[str, NodeManifest]:
    """Returns what these nodes get of a revision, by agent; those that were made."""
    where = (REVISION_NODES.c.revision_id == revision_id, REVISION_NODES.c.agent.in_(list(agents)))
    query = columns_of(REVISION_NODES, NodeManifest).where(*where)
    return {one.agent: one for one in await tx.all(NodeManifest, query)}


async def beyond(tx: Transaction, fleet_id: str, most: int) -> list[str]:
    """Returns the ids of a fleet's revisions that are older than its newest `most`; a part."""
    query: Query = select(REVISIONS.c.id).where(REVISIONS.c.fleet_id == fleet_id)
    query = query.order_by(REVISIONS.c.number.desc()).offset(most).limit(_AT_ONCE)
    return await tx.texts(query)


async def remove(tx: Transaction, revision_ids: list[str]) -> None:
    """Removes revisions; their contents stay until `sweeping` finds that no other has them."""
    if revision_ids:
        of_nodes = REVISION_NODES.c.revision_id.in_(revision_ids)
        await tx.change(delete(REVISION_NODES).where(of_nodes))
        await tx.change(delete(REVISIONS).where(REVISIONS.c.id.in_(revision_ids)))


async def remove_fleet(tx: Transaction, fleet_id: str) -> None:
    """Removes every revision of a fleet that goes."""
    while found := await beyond(tx, fleet_id, 0):
        await remove(tx, found)


async def blobs(
    tx: Transaction, hashes: Iterable[str], *, is_locked: bool = False
) -> dict[str, Blob]:
    """Returns contents of the workspace by hash; those that are there. `is_locked`: nobody else
    removes them before this transaction ends."""
    wanted = sorted(set(hashes))
    found: dict[str, Blob] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        # In one order everywhere, so that two masters do not wait for each other.
        query = columns_of(BLOBS, Blob).where(BLOBS.c.sha256.in_(part)).order_by(BLOBS.c.sha256)
        rows = await tx.all(Blob, query.with_for_update() if is_locked else query)
        found |= {one.sha256: one for one in rows}
    return found


async def add_blobs(tx: Transaction, new: Iterable[Blob], now_ms: int) -> None:
    """Adds contents that are not there yet."""
    rows = [{"id": new_id(now_ms), **one.model_dump()} for one in new]
    await tx.insert_all(BLOBS, rows)


async def manifest_keys(tx: Transaction) -> list[ManifestKey]:
    """Returns the keys that sign manifests, the newest last."""
    query = columns_of(MANIFEST_KEYS, ManifestKey).order_by(MANIFEST_KEYS.c.id)
    return await tx.as_master().all(ManifestKey, query)


async def add_manifest_key(tx: Transaction, key: ManifestKey) -> None:
    """Adds a key."""
    await tx.as_master().insert(MANIFEST_KEYS, **key.model_dump())
