"""Digests of objects and the two-level tree above them; the same algorithm as hg-plan's.

An object's digest is `sha256("hg1\\0" kind "\\0" name "\\0" bytes)`. Objects fall into 256 buckets
by the first byte of `sha256(kind "\\0" name)`; a bucket's digest is the sha256 of its objects'
digests in the order of (kind, name), an empty bucket's is 32 zero bytes; the root is
`sha256("hg1-root\\0" bucket0 … bucket255)`.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, NewType

from headgate._core import buckets
from headgate.kernel.ids import BlobId
from headgate.plan.kinds import Kind, ObjectKey

Digest = NewType("Digest", bytes)
"""A sha256, 32 bytes."""

_BUCKETS: Final = 256
_EMPTY: Final = bytes(32)


def object_digest(kind: Kind, name: str, canonical: bytes) -> Digest:
    """Returns the digest of one object's canonical bytes."""
    head = f"hg1\0{kind}\0{name}\0".encode()
    return Digest(sha256(head + canonical).digest())


def blob_id(content: bytes) -> BlobId:
    """Returns how a blob (certificate, key, bundle) is named."""
    return BlobId(sha256(content).hexdigest())


def bucket_of(key: ObjectKey) -> int:
    """Returns the bucket, 0 to 255, an object's digest falls into."""
    return sha256(f"{key[0]}\0{key[1]}".encode()).digest()[0]


class DigestTree:
    """The digests of a plan; immutable. A change rehashes the touched buckets and the root.

    Each bucket is kept in the order of (kind, name), so that only new names cost a sort.
    """

    __slots__ = ("_buckets", "_digests", "root")

    root: Digest
    """The digest of the whole plan."""

    def __init__(
        self,
        buckets: tuple[Mapping[ObjectKey, Digest], ...] | None = None,
        digests: tuple[bytes, ...] | None = None,
    ) -> None:
        """Makes a tree; without arguments, the tree of no objects."""
        self._buckets = buckets or tuple({} for _ in range(_BUCKETS))
        self._digests = digests or (_EMPTY,) * _BUCKETS
        self.root = Digest(sha256(b"hg1-root\0" + b"".join(self._digests)).digest())

    def applied(self, changes: Iterable[tuple[ObjectKey, Digest | None]]) -> "DigestTree":
        """Returns a new tree with these changes (None deletes); this one does not change."""
        touched: dict[int, dict[ObjectKey, Digest]] = {}
        grown: set[int] = set()
        wanted = dict(changes)
        for (key, digest), at in zip(wanted.items(), buckets(list(wanted)), strict=True):
            bucket = touched.get(at)
            if bucket is None:
                bucket = touched[at] = dict(self._buckets[at])
            if digest is None:
                bucket.pop(key, None)
                continue
            if key not in bucket:
                grown.add(at)
            bucket[key] = digest
        after, digests = list(self._buckets), list(self._digests)
        for at, bucket in touched.items():
            after[at] = dict(sorted(bucket.items())) if at in grown else bucket
            digests[at] = _bucket_digest(after[at])
        return DigestTree(tuple(after), tuple(digests))

    def differing(self, other: "DigestTree") -> set[ObjectKey]:
        """Returns the identities whose digests are not the same in both, or
        that only one of them has.

        The cost depends on the buckets that differ, not on the number of objects.
        """
        out: set[ObjectKey] = set()
        for at in range(_BUCKETS):
            if self._digests[at] != other._digests[at]:
                ours, theirs = self._buckets[at].items(), other._buckets[at].items()
                out.update([key for key, _ in ours ^ theirs])
        return out


def _bucket_digest(bucket: Mapping[ObjectKey, Digest]) -> bytes:
    if not bucket:
        return _EMPTY
    return sha256(b"".join(bucket.values())).digest()
