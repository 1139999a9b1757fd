"""Digests of objects and the two-level tree above them; the same algorithm as hg-plan's.

An object's digest is `sha256("hg1\\0" kind "\\0" name "\\0" bytes)`. Objects fall into 256 buckets
by the first byte of `sha256(kind "\\0" name)`; a bucket's digest is the sha256 of its objects'
digests in the order of (kind, name), an empty bucket's is 32 zero bytes; the root is
`sha256("hg1-root\\0" bucket0 … bucket255)`.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final, NewType

from headgate.kernel.ids import BlobId
from headgate.plan.kinds import Kind, ObjectKey

Digest = NewType("Digest", bytes)
"""A sha256, 32 bytes."""

_BUCKETS: Final = 256
_EMPTY: Final = bytes(32)


def object_digest(kind: Kind, name: str, canonical: bytes) -> Digest:
    """The digest of one object's canonical bytes."""
    head = f"hg1\0{kind}\0{name}\0".encode()
    return Digest(sha256(head + canonical).digest())


def blob_id(content: bytes) -> BlobId:
    """How a blob (certificate, key, bundle) is named."""
    return BlobId(sha256(content).hexdigest())


def bucket_of(key: ObjectKey) -> int:
    """The bucket, 0 to 255, an object's digest falls into."""
    return sha256(f"{key[0]}\0{key[1]}".encode()).digest()[0]


class DigestTree:
    """The digests of a plan; immutable. A change rehashes the touched buckets and the root."""

    __slots__ = ("_buckets", "_digests", "root")

    root: Digest
    """The digest of the whole plan."""

    def __init__(
        self,
        buckets: tuple[Mapping[ObjectKey, Digest], ...] | None = None,
        digests: tuple[bytes, ...] | None = None,
    ) -> None:
        """Without arguments the tree of no objects."""
        self._buckets = buckets or tuple({} for _ in range(_BUCKETS))
        self._digests = digests or (_EMPTY,) * _BUCKETS
        self.root = Digest(sha256(b"hg1-root\0" + b"".join(self._digests)).digest())

    def applied(self, changes: Iterable[tuple[ObjectKey, Digest | None]]) -> "DigestTree":
        """The tree after these changes (None deletes); this one stays as it is."""
        touched: dict[int, dict[ObjectKey, Digest]] = {}
        for key, digest in changes:
            at = bucket_of(key)
            bucket = touched.get(at)
            if bucket is None:
                bucket = touched[at] = dict(self._buckets[at])
            if digest is None:
                bucket.pop(key, None)
            else:
                bucket[key] = digest
        buckets, digests = list(self._buckets), list(self._digests)
        for at, bucket in touched.items():
            buckets[at] = bucket
            digests[at] = _bucket_digest(bucket)
        return DigestTree(tuple(buckets), tuple(digests))

    def differing(self, other: "DigestTree") -> set[ObjectKey]:
        """The identities whose digests are not the same in both, or that only one of them has.

        Costs a look at the buckets that differ, not at every object.
        """
        out: set[ObjectKey] = set()
        for at in range(_BUCKETS):
            if self._digests[at] != other._digests[at]:
                ours, theirs = self._buckets[at], other._buckets[at]
                keys = ours.keys() | theirs.keys()
                out.update(key for key in keys if ours.get(key) != theirs.get(key))
        return out


def _bucket_digest(bucket: Mapping[ObjectKey, Digest]) -> bytes:
    if not bucket:
        return _EMPTY
    return sha256(b"".join(bucket[key] for key in sorted(bucket))).digest()
