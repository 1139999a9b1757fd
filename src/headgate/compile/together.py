"""Compiles entries that differ only in a few plain texts and numbers as one.

A large config is mostly one route written ten thousand times, with other hosts, names and
priorities. Such values have so few forms that no validator changes them. So one entry is compiled
with markers in place of those values, and the core replaces the markers in the canonical bytes by
each entry's own. An entry that is wrong, reads a file or holds a secret is compiled by itself, so
that its errors have a place.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, cast

import msgspec

from headgate._core import Alike, Document, Openings, alike
from headgate.compile.claims import may_name
from headgate.compile.resolved import Ref
from headgate.compile.sources import EntryKey
from headgate.compile.unit import Context, Unit, unit
from headgate.features.registry import MATCHES, MIDDLEWARES
from headgate.model.config import Section
from headgate.plan.digest import Digest
from headgate.plan.kinds import ObjectKey
from headgate.plan.plan import PlanEntry

LEAST: Final = 16
"""Fewer entries than this are not worth a comparison."""

_TEXTS: Final[list[tuple[str, Literal["host", "path", "word", "number"]]]] = [
    *(
        (f"middlewares.*.{feature.key}.{place}", "word")
        for feature in MIDDLEWARES
        for place in feature.plain_texts
    ),
    *(
        (f"{match}.{feature.key}.{place}", "word")
        for feature in MATCHES
        for place in feature.plain_texts
        for match in ("match", "match.*")
    ),
]
_OPENINGS: Final = {
    "routes": Openings(
        [
            ("hosts", "host"),
            ("hosts.!", "host"),
            ("match.path.exact", "path"),
            ("match.path.prefix", "path"),
            ("match.*.path.exact", "path"),
            ("match.*.path.prefix", "path"),
            ("upstream", "word"),
            ("priority", "number"),
            ("split.*.weight", "number"),
            *_TEXTS,
        ]
    ),
}
"""By section: the places where a value of that kind stays unchanged."""


class Crowd(msgspec.Struct, frozen=True):
    """Entries of one section that are alike."""

    section: Section
    keys: list[EntryKey]
    document: Document
    alike: Alike


def crowds(section: Section, document: Document, keys: Sequence[EntryKey]) -> Iterator[Crowd]:
    """Yields the entries of a section that are worth compiling together."""
    openings = _OPENINGS.get(section.key)
    if openings is None or len(keys) < LEAST:
        return
    for group in alike(document, section.key, [key[1] for key in keys], openings, LEAST):
        yield Crowd(section, [keys[at] for at in group.members], document, group)


def together(crowd: Crowd, context: Context) -> list[Unit]:
    """Returns the result of each entry; nothing at all if each must be compiled by itself."""
    section, group = crowd.section, crowd.alike
    name = crowd.keys[0][1]
    pattern = unit(section, name, group.pattern(), context)
    if pattern.plan is None or context.reads.is_used:
        return []
    stamped = group.stamped(section.kind, pattern.plan.canonical)
    first = unit(section, name, crowd.document.entry(*crowd.keys[0]), context)
    if stamped is None or first.plan is None or first.plan.canonical != stamped[0][0]:
        return []
    return _units(crowd, pattern, *stamped)


def _units(crowd: Crowd, pattern: Unit, canonical: list[bytes], digests: list[bytes]) -> list[Unit]:
    kind, names = crowd.section.kind, [key[1] for key in crowd.keys]
    keys = (tuple.__new__(ObjectKey, (kind, name)) for name in names)  # half the time
    plans = map(PlanEntry, keys, canonical, cast("list[Digest]", digests))
    refs = _references(pattern, crowd.alike, len(names))
    same = (
        pattern.problems,
        pattern.seen,
        pattern.blobs,
        pattern.secrets,
        pattern.is_default_listener,
        pattern.takes_default_listeners,
    )
    checked = pattern.is_crosschecked
    return [
        Unit(
            crowd.section,
            name,
            plan,
            mine,
            *same,
            is_crosschecked=checked or may_name(plan),
        )
        for name, plan, mine in zip(names, plans, refs, strict=True)
    ]


def _references(pattern: Unit, group: Alike, count: int) -> Sequence[tuple[Ref, ...]]:
    """Returns each entry's own references; one tuple for all if they do not differ."""
    places = {mark: at for at, mark in enumerate(group.markers)}
    if not any(ref.name in places for ref in pattern.refs):
        return [pattern.refs] * count
    columns = [
        [Ref(ref.kind, text, ref.path) for text in group.texts(places[ref.name])]
        if ref.name in places
        else [ref] * count
        for ref in pattern.refs
    ]
    return list(zip(*columns, strict=True))
