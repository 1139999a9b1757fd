"""What an Apply transaction sends: begin, changes, blobs, end. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from headgate.engines.native.generated import plan_pb2 as pb
from headgate.engines.native.types import TooLargeError
from headgate.kernel.ids import BlobId
from headgate.plan.plan import Delta, Plan, PlanEntry

MAX_MESSAGE = 1 << 20
"""Bytes of one message, at most."""

_OVERHEAD = 64  # tags and lengths around one change or blob, and around a message
_ROOM = MAX_MESSAGE - _OVERHEAD


def delta_messages(delta: Delta, blobs: Mapping[BlobId, bytes]) -> Iterator[pb.ApplyMessage]:
    """The messages that turn `delta.base` into `delta.digest`, with these blobs.

    Raises TooLargeError for an object or a blob that no message can hold.
    """
    begin = pb.ApplyBegin(full=False, base_digest=delta.base.hex())
    yield pb.ApplyMessage(begin=begin)
    deletes = (pb.ObjectChange(kind=k.kind, name=k.name, delete=True) for k in delta.deletes)
    yield from _changes(deletes)
    yield from _changes(_puts(delta.puts))
    yield from _rest(blobs, delta.digest.hex())


def full_messages(plan: Plan, blobs: Mapping[BlobId, bytes]) -> Iterator[pb.ApplyMessage]:
    """The messages that replace everything by `plan`, with these blobs; raises as above."""
    yield pb.ApplyMessage(begin=pb.ApplyBegin(full=True))
    entries = (plan.objects[key] for key in sorted(plan.objects))
    yield from _changes(_puts(entries))
    yield from _rest(blobs, plan.digest.hex())


def _puts(entries: Iterable[PlanEntry]) -> Iterator[pb.ObjectChange]:
    for entry in entries:
        key = entry.key
        if len(entry.canonical) + len(key.name) > _ROOM:
            raise TooLargeError(key.kind, key.name, len(entry.canonical), MAX_MESSAGE)
        yield pb.ObjectChange(kind=key.kind, name=key.name, canonical=entry.canonical)


def _changes(changes: Iterable[pb.ObjectChange]) -> Iterator[pb.ApplyMessage]:
    batch: list[pb.ObjectChange] = []
    size = 0
    for change in changes:
        added = len(change.canonical) + len(change.name) + _OVERHEAD
        if batch and size + added > _ROOM:
            yield pb.ApplyMessage(changes=pb.ApplyChanges(changes=batch))
            batch, size = [], 0
        batch.append(change)
        size += added
    if batch:
        yield pb.ApplyMessage(changes=pb.ApplyChanges(changes=batch))


def _rest(blobs: Mapping[BlobId, bytes], digest: str) -> Iterator[pb.ApplyMessage]:
    for name in sorted(blobs):
        content = blobs[name]
        if len(content) + _OVERHEAD * 2 > MAX_MESSAGE:
            raise TooLargeError("blob", name, len(content), MAX_MESSAGE)
        yield pb.ApplyMessage(blob=pb.ApplyBlob(sha256=name, content=content))
    yield pb.ApplyMessage(end=pb.ApplyEnd(digest=digest))
