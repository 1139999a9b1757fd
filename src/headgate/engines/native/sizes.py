"""Finds what no message of an Apply transaction can hold. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from headgate.engines.types import ObjectError
from headgate.kernel.ids import BlobId
from headgate.plan.plan import Plan, PlanEntry

MAX_MESSAGE: Final = 1 << 20
"""The most bytes of one message."""
OVERHEAD: Final = 64
"""Tags and lengths around one change or blob, and around a message."""
ROOM: Final = MAX_MESSAGE - OVERHEAD


def is_too_large(entry: PlanEntry) -> bool:
    """Says whether no message can hold this object."""
    return len(entry.canonical) + len(entry.key.name) > ROOM


def is_too_large_a_blob(content: bytes) -> bool:
    """Says whether no message can hold this blob."""
    return len(content) > ROOM - OVERHEAD


def too_large(plan: Plan, blobs: Mapping[BlobId, bytes]) -> tuple[ObjectError, ...]:
    """Returns the objects that no data plane can be sent, or whose blobs it cannot."""
    return tuple(_too_large(plan, blobs))


def _too_large(plan: Plan, blobs: Mapping[BlobId, bytes]) -> Iterator[ObjectError]:
    for entry in plan.objects.values():
        kind, name = entry.key
        if is_too_large(entry):
            yield ObjectError(kind, name, "", _said(f"{kind} {name}", len(entry.canonical)))
        for blob in entry.blobs:
            content = blobs.get(blob, b"")
            if is_too_large_a_blob(content):
                yield ObjectError(kind, name, "", _said("a file that it names", len(content)))


def _said(what: str, size: int) -> str:
    return f"{what} has {size} bytes; at most {MAX_MESSAGE} can be sent to a data plane"
