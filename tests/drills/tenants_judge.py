"""Judges a run of the drill of tenants; pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tenants_calm import Sample, Seen

_ADMITTED = "200"
_REFUSED = "429"


@dataclass
class Record:
    """The answers that both tenants got, and the objects that the master has at the end."""

    calm: list[Sample] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    wanted: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Version and content of each object of the calm tenant, as they were acknowledged last."""
    found: dict[str, tuple[int, str]] = field(default_factory=dict)
    """The same, as it is at the end."""
    floods: list[Mapping[str, Mapping[str, int]]] = field(default_factory=list)
    """For each flood, how often each kind of request got each status."""
    without_wait: int = 0
    most_admitted: float = 0
    """The requests of the flooding tenant that its quota admits in the time of the drill."""
    written: Counter[str] = field(default_factory=Counter)
    """Acknowledged writes of the flooding tenant, by object."""
    versions: Counter[str] = field(default_factory=Counter)
    """The version of each of its objects at the end: each write makes one."""


def faults(record: Record) -> list[str]:
    """Each fault, as a sentence."""
    return [*_of_calm(record), *_of_events(record), *_of_floods(record), *_of_excess(record)]


def _of_calm(record: Record) -> Iterator[str]:
    if not record.calm:
        yield "the calm tenant sent no request"
    others = Counter((one.kind, one.outcome) for one in record.calm if one.outcome != _ADMITTED)
    for (kind, outcome), count in sorted(others.items()):
        yield f"the calm tenant got {outcome} for {count} requests that {kind}"
    for key in sorted(record.wanted.keys() | record.found.keys()):
        wanted, found = record.wanted.get(key), record.found.get(key)
        if wanted != found:
            yield f"{key} of the calm tenant was acknowledged as {wanted} and is {found}"


def _of_events(record: Record) -> Iterator[str]:
    numbers = [one.seq for one in record.seen]
    if numbers != list(range(1, len(numbers) + 1)):
        yield "the events of the calm tenant are not numbered one by one"
    written = sum(version for version, _ in record.wanted.values())
    if len(numbers) != written:
        yield f"the calm tenant wrote {written} times and got {len(numbers)} events"


def _of_floods(record: Record) -> Iterator[str]:
    if not record.floods:
        yield "there was no flood"
    for number, flood in enumerate(record.floods, 1):
        for kind, statuses in flood.items():
            allowed = {"401", _REFUSED} if kind == "wrong tokens" else {_ADMITTED, _REFUSED}
            for status in sorted(statuses.keys() - allowed):
                yield f"flood {number}: {kind} got {status} {statuses[status]} times"
            if not statuses.get(_REFUSED):
                yield f"flood {number}: no request of the {kind} was refused with 429"
    if record.without_wait:
        yield f"{record.without_wait} refusals do not say when to come again"


def _of_excess(record: Record) -> Iterator[str]:
    admitted = sum(
        count
        for flood in record.floods
        for statuses in flood.values()
        for status, count in statuses.items()
        if status == _ADMITTED
    )
    if admitted > record.most_admitted:
        yield f"{admitted} requests of the flood were admitted, at most {record.most_admitted:.0f}"
    if not record.written:
        yield "no write of the flood was admitted"
    for key in sorted(record.written.keys() | record.versions.keys()):
        if record.written[key] != record.versions[key]:
            given = f"{record.written[key]} writes of the flood acknowledged"
            yield f"{key}: {given}, {record.versions[key]} carried out"
