"""Compiles routes that differ only in a few plain texts and numbers as one.

A large config is mostly one route written ten thousand times, with other hosts, names and numbers.
So one entry is compiled with markers in place of those values, each value is parsed by the parser
of its field, and takes the place of its marker in the canonical bytes. An entry that is wrong,
reads a file or holds a secret is compiled by itself, so that its errors have a place.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, repeat
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.json import encode

from headgate._core import Document, Openings, alike
from headgate.compile.claims import may_name
from headgate.compile.resolved import Ref
from headgate.compile.sources import EntryKey
from headgate.compile.unit import Context, Unit, unit
from headgate.features.plain import HOST, TEXT, Plain, duration, number, size
from headgate.features.registry import MATCHES, MIDDLEWARES
from headgate.kernel.errors import Invalid
from headgate.model.config import Section
from headgate.model.references import MARK
from headgate.model.route import RouteLimits, RouteTimeouts
from headgate.plan.digest import object_digest
from headgate.plan.kinds import ObjectKey
from headgate.plan.plan import PlanEntry

LEAST: Final = 16
"""Fewer entries than this are not worth a comparison."""

_MARKERS: Final = 914_177
"""The number of the first marker."""

_PLAIN: Final[dict[str, Plain]] = {
    "hosts": HOST,
    "hosts.!": HOST,
    "upstream": TEXT,
    "split.*.upstream": TEXT,
    "middlewares.*": TEXT,
    "priority": number(default=0),
    "split.*.weight": number(default=1),
    "limits.body": size(),
    "limits.body_rate": size(RouteLimits.model_fields["body_rate"].default),
    **{
        f"timeouts.{key}": duration(field.default)
        for key, field in RouteTimeouts.model_fields.items()
    },
    **{
        f"{at}{feature.key}.{place}": plain
        for feature in MIDDLEWARES
        for place, plain in feature.plain.items()
        for at in ("middlewares.*.", "")
    },
    **{
        f"{at}.{feature.key}.{place}": plain
        for feature in MATCHES
        for place, plain in feature.plain.items()
        for at in ("match", "match.*")
    },
}
"""The plain values of a route by their places."""

_OPENINGS: Final = Openings(list(_PLAIN))

Difference = tuple[int, list[str | int], list[str | int]]
"""The index of an opening, the place in an entry, and what each entry has there."""


class Crowd(msgspec.Struct, frozen=True):
    """Routes that are alike."""

    section: Section
    keys: list[EntryKey]
    document: Document
    differences: list[Difference]


class _Column(NamedTuple):
    """The values that the entries have at a place where they differ."""

    marker: str | int
    values: Sequence[str | int]
    plain: Plain

    def mark(self) -> bytes:
        """Returns the marker as a plan has it."""
        return encode(self.plain.parse(self.marker))

    def written(self) -> list[bytes | None]:
        """Returns each value as a plan has it; None for one that is not plain."""
        made = {value: self._made(value) for value in set(self.values)}
        return [made[value] for value in self.values]

    def _made(self, value: str | int) -> bytes | None:
        if type(value) is not type(self.marker) or MARK in str(value):
            return None
        try:
            found = self.plain.parse(value)
        except Invalid:
            return None
        return None if found == self.plain.default else encode(found)


def crowds(section: Section, document: Document, keys: Sequence[EntryKey]) -> Iterator[Crowd]:
    """Yields the entries of a section that are worth compiling together."""
    if section.key != "routes" or len(keys) < LEAST:
        return
    names = [name for _, name in keys]
    for members, differences in alike(document, section.key, names, _OPENINGS, LEAST):
        yield Crowd(section, [keys[at] for at in members], document, differences)


def together(crowd: Crowd, context: Context) -> dict[EntryKey, Unit]:
    """Returns the results of entries; each of the others must be compiled by itself."""
    section, first = crowd.section, crowd.keys[0]
    value = crowd.document.entry(*first)
    columns = list(_columns(crowd, value))
    pattern = unit(section, first[1], value, context)
    if pattern.plan is None or context.reads.is_used:
        return {}
    parts = _split(pattern.plan.canonical, [column.mark() for column in columns])
    if parts is None:
        return {}
    count = len(crowd.keys)
    written = [
        columns[part].written() if isinstance(part, int) else repeat(part, count) for part in parts
    ]
    refs = _references(pattern, columns, count)
    found = {
        key: _unit(pattern, key[1], b"".join(row), mine)
        for key, row, mine in zip(crowd.keys, zip(*written, strict=True), refs, strict=True)
        if None not in row and _is_name(section, key[1])
    }
    return found if _is_right(crowd, found, context) else {}


def _columns(crowd: Crowd, value: object) -> Iterator[_Column]:
    """Yields the columns of a crowd, and puts their markers into the value of an entry."""
    plain = list(_PLAIN.values())
    for number_, (opening, path, values) in enumerate(crowd.differences, _MARKERS):
        marker = plain[opening].marker(number_)
        below: Any = value
        for step in path[:-1]:
            below = below[step]
        below[path[-1]] = marker
        yield _Column(marker, values, plain[opening])


def _split(canonical: bytes, markers: Sequence[bytes]) -> list[bytes | int] | None:
    """Returns what stands between markers, and the index of each marker there; None unless every
    marker is one whole value.
    """
    if any(canonical.count(marker.strip(b'"')) != 1 for marker in markers):
        return None
    if not markers:
        return [canonical]
    any_of = b"|".join(map(re.escape, markers))
    parts = re.split(rb"(?<=[:,\[])(" + any_of + rb")(?=[,\]}])", canonical)
    if len(parts) != 2 * len(markers) + 1:
        return None
    return [markers.index(part) if at % 2 else part for at, part in enumerate(parts)]


def _references(pattern: Unit, columns: Sequence[_Column], count: int) -> Iterable[tuple[Ref, ...]]:
    """Returns each entry's own references; one tuple for all if they do not differ."""
    values = {column.marker: column.values for column in columns}
    if not any(ref.name in values for ref in pattern.refs):
        return repeat(pattern.refs, count)
    each = [
        [Ref(ref.kind, str(text), ref.path) for text in values[ref.name]]
        if ref.name in values
        else repeat(ref, count)
        for ref in pattern.refs
    ]
    return zip(*each, strict=True)


def _unit(pattern: Unit, name: str, canonical: bytes, refs: tuple[Ref, ...]) -> Unit:
    kind = pattern.section.kind
    key = tuple.__new__(ObjectKey, (kind, name))  # half the time
    plan = PlanEntry(key, canonical, object_digest(kind, name, canonical))
    return Unit(
        pattern.section,
        name,
        plan,
        refs,
        takes_default_listeners=pattern.takes_default_listeners,
        is_crosschecked=pattern.is_crosschecked or may_name(plan),
    )


def _is_name(section: Section, text: str) -> bool:
    try:
        return section.name(text) == text
    except Invalid:
        return False


def _is_right(crowd: Crowd, found: Mapping[EntryKey, Unit], context: Context) -> bool:
    """Reports whether an entry that is compiled by itself comes out the same."""
    return all(
        unit(crowd.section, key[1], crowd.document.entry(*key), context) == mine
        for key, mine in islice(found.items(), 1)
    )
