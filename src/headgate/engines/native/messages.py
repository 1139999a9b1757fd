"""Serialises what an Apply transaction sends: begin, changes, blobs, end. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from headgate._core import change_messages
from headgate.engines.native.generated import plan_pb2 as pb
from headgate.engines.native.sizes import (
    MAX_MESSAGE,
    OVERHEAD,
    ROOM,
    is_too_large,
    is_too_large_a_blob,
)
from headgate.engines.native.types import TooLargeError
from headgate.kernel.ids import BlobId
from headgate.plan.kinds import ObjectKey
from headgate.plan.plan import Delta, Plan, PlanEntry, in_order


def delta_messages(delta: Delta, blobs: Mapping[BlobId, bytes]) -> Iterator[bytes]:
    """Yields the messages that turn `delta.base` into `delta.digest`, with these blobs.

    Raises TooLargeError for an object or a blob that no message can hold.
    """
    begin = pb.ApplyBegin(full=False, base_digest=delta.base.hex())
    yield pb.ApplyMessage(begin=begin).SerializeToString()
    yield from _deletes(delta.deletes)
    yield from _puts(delta.puts)
    yield from _rest(blobs, delta.digest.hex())


def full_messages(plan: Plan, blobs: Mapping[BlobId, bytes]) -> Iterator[bytes]:
    """Yields the messages that replace everything by `plan`, with these blobs; raises as above."""
    yield pb.ApplyMessage(begin=pb.ApplyBegin(full=True)).SerializeToString()
    yield from _puts([plan.objects[key] for key in in_order(plan.objects)])
    yield from _rest(blobs, plan.digest.hex())


def _puts(entries: Sequence[PlanEntry]) -> Iterator[bytes]:
    for kind, alike in groupby(entries, lambda entry: entry.key[0]):
        puts = list(alike)
        names = [entry.key[1] for entry in puts]
        canonical = [entry.canonical for entry in puts]
        if max(map(len, canonical)) + max(map(len, names)) > ROOM:
            _look_at_sizes(puts)
        yield from change_messages(kind, names, canonical, MAX_MESSAGE)


def _look_at_sizes(entries: Iterable[PlanEntry]) -> None:
    for entry in entries:
        if is_too_large(entry):
            kind, name = entry.key
            raise TooLargeError(kind, name, len(entry.canonical), MAX_MESSAGE)


def _deletes(keys: Iterable[ObjectKey]) -> Iterator[bytes]:
    batch: list[pb.ObjectChange] = []
    size = 0
    for key in keys:
        added = len(key.name) + OVERHEAD
        if batch and size + added > ROOM:
            yield pb.ApplyMessage(changes=pb.ApplyChanges(changes=batch)).SerializeToString()
            batch, size = [], 0
        batch.append(pb.ObjectChange(kind=key.kind, name=key.name, delete=True))
        size += added
    if batch:
        yield pb.ApplyMessage(changes=pb.ApplyChanges(changes=batch)).SerializeToString()


def _rest(blobs: Mapping[BlobId, bytes], digest: str) -> Iterator[bytes]:
    for name in sorted(blobs):
        content = blobs[name]
        if is_too_large_a_blob(content):
            raise TooLargeError("blob", name, len(content), MAX_MESSAGE)
        blob = pb.ApplyBlob(sha256=name, content=content)
        yield pb.ApplyMessage(blob=blob).SerializeToString()
    yield pb.ApplyMessage(end=pb.ApplyEnd(digest=digest)).SerializeToString()
