"""What publishing would do, gathered in one transaction and worked out in a thread."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from headgate.compile.loaded import Loaded
from headgate.master.api.problems import Fault
from headgate.master.domains.agents import store as agents
from headgate.master.domains.agents.types import Engine
from headgate.master.domains.drafts.contents import differences, gathered
from headgate.master.domains.drafts.effects import engine_effect, kinds, requests_effect
from headgate.master.domains.drafts.types import (
    EngineEffect,
    FleetEffect,
    ObjectDiff,
    Preview,
    RequestsEffect,
)
from headgate.master.domains.fleets.store import FleetRow
from headgate.master.domains.resources.types import Change
from headgate.master.domains.resources.validation import Verdict, judged, loaded_from
from headgate.master.domains.revisions import service as revisions
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction

MOST_FLEETS: Final = 20


@dataclass(frozen=True, slots=True)
class Affected:
    """A fleet: what was published to it last, what would be, and the engines of its agents."""

    row: FleetRow
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]
    left_out: Sequence[str]
    engines: Sequence[Engine]
    unheard: int


async def affected(
    tx: Transaction, row: FleetRow, changes: list[Change], sealer: Sealer
) -> Affected:
    """Returns what to know of a fleet."""
    facts = await agents.facts_of(tx, row.id)
    after = await gathered(tx, changes, sealer, row.shown().labels)
    return Affected(
        row,
        await revisions.newest_contents(tx, row.id, sealer),
        after,
        sorted((await gathered(tx, changes, sealer)).keys() - after),
        [engine for one in facts for engine in one.engines],
        sum(not one.engines for one in facts),
    )


def preview(
    objects: list[ObjectDiff], after: Mapping[str, bytes], fleets: Sequence[Affected]
) -> Preview:
    """Returns the whole preview; costs a compilation for each config that differs.

    What is wrong is what would be wrong in a fleet; without fleets, in all objects together.
    """
    compiled = _Compiled()
    verdicts = [judged(compiled(one.after)) for one in fleets] or [judged(compiled(after))]
    effects = [_effect(one, said, compiled) for one, said in zip(fleets, verdicts, strict=False)]
    return Preview(
        objects=objects,
        errors=_once(verdict.errors for verdict in verdicts),
        warnings=_once(verdict.warnings for verdict in verdicts),
        fleets=effects,
    )


def engine_effects(one: Affected) -> list[EngineEffect]:
    """Returns what publishing would do to each kind of engine of a fleet."""
    return _engines(one, loaded_from(one.before), loaded_from(one.after))


class _Compiled:
    """Configs that were compiled; fleets often have the same."""

    def __init__(self) -> None:
        self._known: list[tuple[Mapping[str, bytes], Loaded]] = []

    def __call__(self, contents: Mapping[str, bytes]) -> Loaded:
        for known, loaded in self._known:
            if known == contents:
                return loaded
        loaded = loaded_from(contents)
        self._known.append((contents, loaded))
        return loaded


def _once(found: Iterable[Sequence[Fault]]) -> list[Fault]:
    return list({(one.path, one.detail): one for part in found for one in part}.values())


def _effect(one: Affected, verdict: Verdict, compiled: _Compiled) -> FleetEffect:
    before, after = compiled(one.before), compiled(one.after)
    return FleetEffect(
        fleet=one.row.name,
        revision=one.row.revision,
        objects=differences(one.before, one.after),
        left_out=list(one.left_out),
        errors=verdict.errors,
        unheard=one.unheard,
        engines=[] if verdict.errors else _engines(one, before, after),
        requests=RequestsEffect(source="made", asked=0, moved=[], more=0)
        if verdict.errors
        else requests_effect(before, after),
    )


def _engines(one: Affected, before: Loaded, after: Loaded) -> list[EngineEffect]:
    return [
        engine_effect(kind, count, before, after)
        for kind, count in sorted(kinds(one.engines).items())
    ]
