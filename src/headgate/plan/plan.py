"""A plan: everything resolved, by (kind, name), and what changes between two of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

import msgspec

from headgate.kernel.ids import BlobId, ObjectName
from headgate.plan.codec import PlanObject, decode, encode
from headgate.plan.digest import Digest, DigestTree, object_digest
from headgate.plan.kinds import Kind, ObjectKey


class PlanEntry(msgspec.Struct, frozen=True, gc=False):
    """One object: its canonical bytes, their digest and the blobs it names."""

    key: ObjectKey
    canonical: bytes
    digest: Digest
    blobs: tuple[BlobId, ...] = ()

    @property
    def value(self) -> PlanObject:
        """The object, decoded anew each time: some microseconds."""
        return decode(self.key.kind, self.canonical)


def entry(kind: Kind, name: str, value: PlanObject, blobs: Iterable[BlobId] = ()) -> PlanEntry:
    """Returns an entry of a plan, encoded and digested."""
    canonical = encode(value)
    return PlanEntry(
        key=ObjectKey(kind, ObjectName(name)),
        canonical=canonical,
        digest=object_digest(kind, name, canonical),
        blobs=tuple(blobs),
    )


@dataclass(frozen=True, slots=True)
class Delta:
    """The changes that turn one plan into another: objects to put, identities to delete.

    `base` and `digest` are the roots before and after; both lists are in the order of (kind,
    name). An empty delta means the plans are the same.
    """

    base: Digest
    digest: Digest
    puts: tuple[PlanEntry, ...] = ()
    deletes: tuple[ObjectKey, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.puts or self.deletes)


@dataclass(frozen=True, slots=True)
class Plan:
    """Every object of a resolved config; immutable."""

    objects: Mapping[ObjectKey, PlanEntry] = field(default_factory=dict)
    tree: DigestTree = field(default_factory=DigestTree)
    since: tuple[Digest, tuple[ObjectKey, ...]] | None = field(default=None, compare=False)
    """The plan this one was made from, and all that may differ from it."""

    @property
    def digest(self) -> Digest:
        """The root: equal digests mean the same config."""
        return self.tree.root

    def blobs(self) -> frozenset[BlobId]:
        """Returns every blob some object names."""
        return frozenset(blob for e in self.objects.values() for blob in e.blobs)

    def with_changes(self, changes: Mapping[ObjectKey, PlanEntry | None]) -> "Plan":
        """Returns a new plan with these changes (None deletes); this one does not change."""
        if not changes:
            return self
        puts = {key: new for key, new in changes.items() if new is not None}
        objects = {**self.objects, **puts}
        for key in changes.keys() - puts.keys():
            objects.pop(key, None)
        digests = {key: new.digest if new is not None else None for key, new in changes.items()}
        tree = self.tree.applied(digests.items())
        return Plan(objects, tree, (self.digest, tuple(changes)))


def plan_of(entries: Iterable[PlanEntry]) -> Plan:
    """Returns the plan of these objects."""
    return Plan().with_changes({entry.key: entry for entry in entries})


def in_order(keys: Iterable[ObjectKey]) -> list[ObjectKey]:
    """Returns the same as `sorted`, without comparing tuples: a third of the time."""
    by_kind: dict[Kind, list[ObjectKey]] = {}
    for key in keys:
        by_kind.setdefault(key[0], []).append(key)
    for found in by_kind.values():
        found.sort(key=itemgetter(1))
    return [key for kind in sorted(by_kind) for key in by_kind[kind]]


def diff(old: Plan, new: Plan) -> Delta:
    """Returns the changes from `old` to `new`; the cost depends on the differences alone."""
    puts: list[PlanEntry] = []
    deletes: list[ObjectKey] = []
    keys = in_order(_may_differ(old, new))
    each = zip(keys, map(old.objects.get, keys), map(new.objects.get, keys), strict=True)
    for key, before, after in each:
        if after is not None and (before is None or before.digest != after.digest):
            puts.append(after)
        elif after is None and before is not None:
            deletes.append(key)
    return Delta(old.digest, new.digest, tuple(puts), tuple(deletes))


def _may_differ(old: Plan, new: Plan) -> Iterable[ObjectKey]:
    if new.since is not None and new.since[0] == old.digest:
        return new.since[1]
    return new.tree.differing(old.tree)
