"""The rules of revisions: publishing checks a whole config, signs it, and never changes it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headgate.fleet.manifest import SECRETS, Entry, address, manifest_of, parse, resource_of
from headgate.fleet.signing import sign_manifest
from headgate.kernel.errors import Invalid
from headgate.master.access import Caller
from headgate.master.api.problems import ProblemError, invalid, not_found
from headgate.master.domains.drafts import service as drafts
from headgate.master.domains.drafts import store as draft_store
from headgate.master.domains.drafts.contents import gathered
from headgate.master.domains.drafts.types import Draft
from headgate.master.domains.enrolment.sealing import sealing
from headgate.master.domains.resources import service as resources
from headgate.master.domains.revisions import store
from headgate.master.domains.revisions.signing import signing_key
from headgate.master.domains.revisions.types import (
    Blob,
    EntryView,
    HeldResource,
    NodeManifest,
    Revision,
    RevisionConfig,
    RevisionDetail,
    SignedManifest,
)
from headgate.master.domains.templates.node_values import Recipe, Variant
from headgate.master.domains.templates.recipes import encoded
from headgate.master.ids import new_id
from headgate.master.store.errors import TakenError
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction

MOST_NODE_BYTES: Final = 256 << 20
"""The manifests of one revision for all nodes: each is a row of its own."""

BLOB_CONTEXT = "secret file of a revision"


@dataclass(frozen=True, slots=True)
class Order:
    """An order to publish: to which fleet, by whom and why."""

    fleet_id: str
    author: Caller
    message: str
    now_ms: int
    restores: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """The contents to publish; where nodes get their own, also the recipes and what each gets."""

    contents: Mapping[str, bytes]
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    variants: Sequence[Variant] = ()


async def publish(tx: Transaction, order: Order, made: Made, sealer: Sealer) -> Revision:
    """Makes the next revision of a fleet of these contents; they were checked before."""
    contents = made.contents
    last = await store.newest(tx, order.fleet_id)
    number = last.number + 1 if last else 1
    try:
        text = manifest_of(order.fleet_id, number, contents).canonical()
    except Invalid as wrong:
        raise invalid("$", wrong.what, wrong.allowed) from None
    key = await signing_key(tx, sealer)
    revision = Revision(
        id=new_id(order.now_ms),
        version=1,
        fleet_id=order.fleet_id,
        number=number,
        hash=address(text),
        author=order.author.id,
        author_name=order.author.name,
        message=order.message,
        created_at=order.now_ms,
        restores=order.restores,
    )
    signed = SignedManifest(
        id=revision.id,
        fleet_id=order.fleet_id,
        number=number,
        hash=revision.hash,
        manifest=text,
        signature=sign_manifest(key, text),
        recipes=encoded(made.recipes),
    )
    every = [contents, *(one.contents for one in made.variants)]
    await _keep(tx, every, sealer, order.now_ms)
    try:
        await store.insert(tx, revision, signed)
        await store.add_nodes(tx, _of_nodes(signed, made.variants, key, order.now_ms))
    except TakenError:
        raise ProblemError(
            409, "taken", "somebody else published to this fleet at the same time; try again"
        ) from None
    return revision


async def keep_for(
    tx: Transaction, signed: SignedManifest, variant: Variant, sealer: Sealer, now_ms: int
) -> None:
    """Keeps what nodes that came later get of a revision; raises TakenError if one has it."""
    key = await signing_key(tx, sealer)
    await _keep(tx, [variant.contents], sealer, now_ms)
    await store.add_nodes(tx, _of_nodes(signed, [variant], key, now_ms))


def _of_nodes(
    signed: SignedManifest, variants: Sequence[Variant], key: Ed25519PrivateKey, now_ms: int
) -> list[NodeManifest]:
    found: list[NodeManifest] = []
    size = 0
    for one in variants:
        text = manifest_of(signed.fleet_id, signed.number, one.contents).canonical()
        size += len(text) * len(one.nodes)
        if size > MOST_NODE_BYTES:
            raise invalid(
                "$",
                f"the manifests of all nodes have more than {MOST_NODE_BYTES >> 20} MiB",
                "make several fleets, or send fewer objects to this one",
            )
        signature = sign_manifest(key, text)
        found += [
            NodeManifest(
                id=new_id(now_ms),
                revision_id=signed.id,
                agent=node.id,
                hash=address(text),
                manifest=text,
                signature=signature,
            )
            for node in one.nodes
        ]
    return found


async def _keep(
    tx: Transaction, every: Sequence[Mapping[str, bytes]], sealer: Sealer, now_ms: int
) -> None:
    by_hash = {
        address(content): (path, content)
        for contents in every
        for path, content in contents.items()
    }
    has_secrets = any(path.startswith(SECRETS) for path, _ in by_hash.values())
    seal = await sealing(tx, sealer) if has_secrets else sealer.seal
    known = await store.blobs(tx, by_hash, is_locked=True)
    new = []
    for sha256, (path, content) in by_hash.items():
        if sha256 in known:
            continue
        sealed = seal(content, BLOB_CONTEXT) if path.startswith(SECRETS) else None
        new.append(Blob(sha256=sha256, content=None if sealed else content, sealed=sealed))
    await store.add_blobs(tx, new, now_ms)


def opened(blob: Blob, sealer: Sealer) -> bytes:
    """Returns the content of a blob."""
    if blob.sealed is not None:
        return sealer.open(blob.sealed, BLOB_CONTEXT)
    return blob.content or b""


async def blob(tx: Transaction, sha256: str, sealer: Sealer) -> bytes | None:
    """Returns a content of the workspace."""
    found = (await store.blobs(tx, [sha256])).get(sha256)
    return None if found is None else opened(found, sealer)


async def contents_of(
    tx: Transaction, signed: SignedManifest | NodeManifest, sealer: Sealer
) -> dict[str, bytes]:
    """Returns what a revision holds, or what a node gets of it, by path."""
    entries = parse(signed.manifest).entries
    found = await store.blobs(tx, [entry.sha256 for entry in entries])
    return {entry.path: opened(found[entry.sha256], sealer) for entry in entries}


async def newest_contents(tx: Transaction, fleet_id: str, sealer: Sealer) -> dict[str, bytes]:
    """Returns what was published last to a fleet; empty if nothing was."""
    last = await store.newest(tx, fleet_id)
    return {} if last is None else await contents_of(tx, last, sealer)


async def detail(tx: Transaction, revision_id: str) -> RevisionDetail:
    """Returns a revision with its entries; raises ProblemError."""
    revision = await store.find(tx, revision_id)
    signed = await store.manifest(tx, revision_id)
    if revision is None or signed is None:
        raise not_found("revision", revision_id)
    entries = [_entry_view(one) for one in parse(signed.manifest).entries]
    return RevisionDetail(**revision.model_dump(), entries=entries)


def _entry_view(one: Entry) -> EntryView:
    sha256 = "" if one.path.startswith(SECRETS) else one.sha256
    return EntryView(path=one.path, sha256=sha256, size=one.size)


async def config(
    tx: Transaction, revision_id: str, sealer: Sealer, agent: str | None = None
) -> RevisionConfig:
    """Returns the objects of a revision, or of what a node gets of it; of secret files nothing.
    Raises ProblemError."""
    revision = await store.manifest(tx, revision_id)
    if revision is None:
        raise not_found("revision", revision_id)
    signed = revision if agent is None else await part(tx, revision, agent)
    entries = {entry.path: entry.sha256 for entry in parse(signed.manifest).entries}
    named = {path: of for path in entries if (of := resource_of(path)) is not None}
    found = await store.blobs(tx, [entries[path] for path in named])
    return RevisionConfig(
        id=revision_id,
        number=revision.number,
        hash=signed.hash,
        resources=[
            HeldResource(
                kind=kind,  # type: ignore[arg-type] # resource_of knows no kinds
                name=name,
                # Sealed if a secret file has the same bytes.
                spec=json.loads(opened(found[entries[path]], sealer)),
            )
            for path, (kind, name) in named.items()
        ],
    )


async def part(
    tx: Transaction, revision: SignedManifest, agent: str
) -> SignedManifest | NodeManifest:
    """Returns what an agent gets of a revision; raises ProblemError."""
    if revision.recipes is None:
        return revision
    own = await store.node_manifest(tx, revision.id, agent)
    if own is None:
        raise not_found("agent with a part of this revision", agent)
    return own


def held(contents: Mapping[str, bytes]) -> list[HeldResource]:
    """Returns the objects of contents, by path."""
    return [
        HeldResource(kind=of[0], name=of[1], spec=json.loads(content))  # type: ignore[arg-type]
        for path, content in sorted(contents.items())
        if (of := resource_of(path)) is not None
    ]


async def wanted(
    tx: Transaction, draft: str | None, sealer: Sealer, labels: Mapping[str, str]
) -> tuple[dict[str, bytes], Draft | None]:
    """Returns what publishing would publish to a fleet, and the draft."""
    found = None if draft is None else await drafts.find(tx, draft)
    changes = [] if found is None else found.changes
    return await gathered(tx, changes, sealer, labels), found


async def settle(tx: Transaction, draft: str, by: Caller, now_ms: int) -> None:
    """Makes the changes of a draft part of the resources, and removes it."""
    found = await drafts.find(tx, draft)
    for change in found.changes:
        if change.spec is None and not await resources.exists(tx, change):
            continue
        await resources.write(tx, change, by, now_ms)
    await draft_store.remove(tx, found.id)
