"""What publishing would do, gathered in one transaction and worked out in a thread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from headgate.compile.loaded import Loaded
from headgate.master.domains.agents import store as agents
from headgate.master.domains.agents.types import Engine
from headgate.master.domains.drafts.contents import differences
from headgate.master.domains.drafts.effects import engine_effect, kinds, requests_effect
from headgate.master.domains.drafts.types import EngineEffect, FleetEffect, ObjectDiff, Preview
from headgate.master.domains.fleets.store import FleetRow
from headgate.master.domains.resources.validation import judged, loaded_from
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
    engines: Sequence[Engine]
    unheard: int


async def affected(
    tx: Transaction, row: FleetRow, after: Mapping[str, bytes], sealer: Sealer
) -> Affected:
    """Returns what to know of a fleet."""
    facts = await agents.facts_of(tx, row.id)
    return Affected(
        row,
        await revisions.newest_contents(tx, row.id, sealer),
        after,
        [engine for one in facts for engine in one.engines],
        sum(not one.engines for one in facts),
    )


def preview(
    objects: list[ObjectDiff], after: Mapping[str, bytes], fleets: Sequence[Affected]
) -> Preview:
    """Returns the whole preview; costs a compilation for each fleet."""
    found = judged(loaded_from(after))
    effects = [] if found.errors else [_effect(one) for one in fleets]
    return Preview(objects=objects, errors=found.errors, warnings=found.warnings, fleets=effects)


def engine_effects(one: Affected) -> list[EngineEffect]:
    """Returns what publishing would do to each kind of engine of a fleet."""
    return _engines(one, *_loaded(one))


def _effect(one: Affected) -> FleetEffect:
    before, after = _loaded(one)
    return FleetEffect(
        fleet=one.row.name,
        revision=one.row.revision,
        objects=differences(one.before, one.after),
        unheard=one.unheard,
        engines=_engines(one, before, after),
        requests=requests_effect(before, after),
    )


def _loaded(one: Affected) -> tuple[Loaded, Loaded]:
    return loaded_from(one.before), loaded_from(one.after)


def _engines(one: Affected, before: Loaded, after: Loaded) -> list[EngineEffect]:
    return [
        engine_effect(kind, count, before, after)
        for kind, count in sorted(kinds(one.engines).items())
    ]
