"""A plan: everything resolved, by (kind, name), and what changes between two of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from headgate.kernel.ids import BlobId, ObjectName
from headgate.plan.codec import PlanObject, encode
from headgate.plan.digest import Digest, DigestTree, object_digest
from headgate.plan.kinds import Kind, ObjectKey


class PlanEntry(msgspec.Struct, frozen=True, gc=False):
    """One object with its canonical bytes, their digest and the blobs it names."""

    key: ObjectKey
    value: PlanObject
    canonical: bytes
    digest: Digest
    blobs: tuple[BlobId, ...] = ()


def entry(kind: Kind, name: str, value: PlanObject, blobs: Iterable[BlobId] = ()) -> PlanEntry:
    """An entry of a plan, encoded and digested."""
    canonical = encode(value)
    return PlanEntry(
        key=ObjectKey(kind, ObjectName(name)),
        value=value,
        canonical=canonical,
        digest=object_digest(kind, name, canonical),
        blobs=tuple(blobs),
    )


@dataclass(frozen=True, slots=True)
class Delta:
    """What turns one plan into another: objects to put, identities to delete.

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

    @property
    def digest(self) -> Digest:
        """The root: equal digests mean the same config."""
        return self.tree.root

    def blobs(self) -> frozenset[BlobId]:
        """Every blob some object names."""
        return frozenset(blob for e in self.objects.values() for blob in e.blobs)

    def with_changes(self, changes: Mapping[ObjectKey, PlanEntry | None]) -> "Plan":
        """The plan after these changes (None deletes); this one stays as it is."""
        if not changes:
            return self
        objects = dict(self.objects)
        for key, new in changes.items():
            if new is None:
                objects.pop(key, None)
            else:
                objects[key] = new
        digests = ((key, new.digest if new else None) for key, new in changes.items())
        return Plan(objects, self.tree.applied(digests))


def plan_of(entries: Iterable[PlanEntry]) -> Plan:
    """The plan of these objects."""
    return Plan().with_changes({entry.key: entry for entry in entries})


def diff(old: Plan, new: Plan) -> Delta:
    """What turns `old` into `new`; costs what differs, not what there is."""
    keys = sorted(new.tree.differing(old.tree))
    return Delta(
        base=old.digest,
        digest=new.digest,
        puts=tuple(new.objects[key] for key in keys if key in new.objects),
        deletes=tuple(key for key in keys if key not in new.objects),
    )
