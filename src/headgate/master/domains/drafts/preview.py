"""The effects of publishing, gathered in one transaction and worked out in a thread."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from headgate.compile.compiler import Compiler
from headgate.compile.loaded import Loaded
from headgate.master.api.problems import Fault
from headgate.master.domains.agents import store as agents
from headgate.master.domains.agents.types import Engine, Facts
from headgate.master.domains.drafts.contents import differences, gathered
from headgate.master.domains.drafts.digests import digest, digest_of, shown_digest
from headgate.master.domains.drafts.effects import (
    Config,
    engine_effect,
    kinds,
    merged_engines,
)
from headgate.master.domains.drafts.requests import MOST_SIDES, Seen, Side, requests_effect
from headgate.master.domains.drafts.types import (
    EngineEffect,
    FleetEffect,
    NodeEffect,
    ObjectDiff,
    Preview,
)
from headgate.master.domains.fleets.store import FleetRow
from headgate.master.domains.resources.types import Change
from headgate.master.domains.resources.validation import Verdict, import_of, judged, loaded_from
from headgate.master.domains.revisions import service as revisions
from headgate.master.domains.revisions import store as revision_rows
from headgate.master.domains.templates.node_values import (
    MOST_NODES,
    Node,
    Recipe,
    Variant,
    variants,
)
from headgate.master.domains.templates.planned import Planned
from headgate.master.domains.templates.recipes import recipes_of
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction

MOST_FLEETS: Final = 20
MOST_NODES_SHOWN: Final = 100
_NAMED: Final = 5

Contents = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Affected:
    """A fleet: what was published to it last, what would be, its agents and their engines.

    With `recipes` nodes get their own: `befores` has what those that are shown had until now.
    """

    row: FleetRow
    before: Contents
    after: Contents
    left_out: Sequence[str]
    nodes: Sequence[Node]
    engines: Mapping[str, Sequence[Engine]]
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    befores: Mapping[str, Contents] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    """The digests of what every node had until now; none where all had the same."""

    @property
    def unheard(self) -> int:
        """The number of agents that have not said which engine they run."""
        return sum(not one for one in self.engines.values())

    def engines_of(self, nodes: Iterable[Node]) -> list[Engine]:
        """Returns the engines of these agents."""
        return [engine for node in nodes for engine in self.engines[node.id]]


@dataclass(frozen=True, slots=True)
class Fate:
    """The variants of a fleet's nodes, one for all that get the same, and the verdict."""

    variants: Sequence[Variant]
    verdict: Verdict


async def affected(
    tx: Transaction,
    row: FleetRow,
    changes: list[Change],
    sealer: Sealer,
    plan: Planned | None = None,
) -> Affected:
    """Returns what to know of a fleet; `plan`: templates that `changes` are of."""
    after = await gathered(tx, changes, sealer, row.shown().labels)
    every = await nodes_of(tx, row.id)
    recipes = await recipes_of(tx, after, plan)
    befores, digests = await _befores(tx, row.id, [node for node, _ in every], sealer)
    return Affected(
        row,
        await revisions.newest_contents(tx, row.id, sealer),
        after,
        sorted((await gathered(tx, changes, sealer)).keys() - after),
        [node for node, _ in every],
        {node.id: engines for node, engines in every},
        recipes,
        befores,
        digests,
    )


async def nodes_of(tx: Transaction, fleet_id: str) -> list[tuple[Node, list[Engine]]]:
    """Returns the agents of a fleet, by id, and the engines that each reported."""
    return [
        (
            Node(one.id, one.name, json.loads(one.labels)),
            Facts.model_validate_json(one.facts).engines,
        )
        for one in await agents.nodes_of(tx, fleet_id)
    ]


async def _befores(
    tx: Transaction, fleet_id: str, nodes: Sequence[Node], sealer: Sealer
) -> tuple[dict[str, Contents], dict[str, str]]:
    """Returns what the nodes that are shown had until now, and the digests of what all had; nothing
    where every node had the same."""
    last = await revision_rows.newest(tx, fleet_id)
    if last is None or last.recipes is None:
        return {}, {}
    every = await revision_rows.node_hashes(tx, last.id)
    hashes = {node.id: every[node.id] for node in nodes if node.id in every}
    # One node of each config: many have the same, and a manifest is large.
    one_of = {key: agent for agent, key in hashes.items()}
    distinct = {
        one.hash: one
        for one in (await revision_rows.node_manifests(tx, last.id, one_of.values())).values()
    }
    digests = {key: digest_of(one.manifest) for key, one in distinct.items()}
    shown = {node.id: hashes[node.id] for node in _shown(nodes) if node.id in hashes}
    contents: dict[str, Contents] = {}
    for key in dict.fromkeys(shown.values()):
        contents[key] = await revisions.contents_of(tx, distinct[key], sealer)
    befores = {agent: contents[key] for agent, key in shown.items()}
    return befores, {agent: digests[key] for agent, key in hashes.items()}


def preview(
    objects: list[ObjectDiff],
    after: Contents,
    fleets: Sequence[Affected],
    seen: Mapping[str, Seen],
) -> Preview:
    """Returns the whole preview; costs a compilation for each config that differs.

    What is wrong is what would be wrong in a fleet; without fleets, in all objects together.
    `seen`: requests that the nodes of fleets had, by fleet.
    """
    compiled = Compiled()
    fates = [fate(one, compiled) for one in fleets]
    verdicts = [one.verdict for one in fates] or [judged(compiled(after), after)]
    effects = [
        _effect(one, said, compiled, seen.get(one.row.id))
        for one, said in zip(fleets, fates, strict=True)
    ]
    return Preview(
        objects=objects,
        errors=_once(verdict.errors for verdict in verdicts),
        warnings=_once(verdict.warnings for verdict in verdicts),
        fleets=effects,
    )


class Compiled:
    """Configs that were compiled; fleets and nodes often have the same, or nearly the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, bytes], ...], Loaded] = {}
        self._compiler = Compiler()

    def __call__(self, contents: Contents) -> Loaded:
        key = tuple(sorted(contents.items()))
        if key not in self._known:
            self._known[key] = loaded_from(contents, self._compiler)
        return self._known[key]


def fate(one: Affected, compiled: Compiled) -> Fate:
    """Returns what each node would get, and all that is wrong with that."""
    if not one.recipes:
        return Fate([Variant(one.after, list(one.nodes))], judged(compiled(one.after), one.after))
    if len(one.nodes) > MOST_NODES:
        return Fate([], Verdict([_too_many(one)], []))
    if not one.nodes:
        # The first node has its config looked at when it comes.
        said = judged(compiled(one.after), one.after)
        errors = [fault for fault in said.errors if _file(fault) not in one.recipes]
        return Fate([], Verdict(errors, said.warnings))
    found, gaps = variants(one.after, one.recipes, one.nodes)
    verdicts = [judged(compiled(one_of.contents), one_of.contents) for one_of in found]
    errors = _once([gaps, *_of_nodes(found, [said.errors for said in verdicts])])
    warnings = _once(_of_nodes(found, [said.warnings for said in verdicts]))
    return Fate(found, Verdict(errors, warnings))


def engine_effects(one: Affected, fate: Fate, compiled: Compiled) -> list[EngineEffect]:
    """Returns what publishing would do to each kind of engine of a fleet."""
    found: list[EngineEffect] = []
    for variant in fate.variants:
        before, after = (
            Config(compiled(contents), import_of(contents))
            for contents in (_before(one, variant.nodes), variant.contents)
        )
        found += [
            engine_effect(kind, count, before, after)
            for kind, count in sorted(kinds(one.engines_of(variant.nodes)).items())
        ]
    return merged_engines(found) if len(fate.variants) > 1 else found


def _effect(one: Affected, fate: Fate, compiled: Compiled, seen: Seen | None) -> FleetEffect:
    errors = fate.verdict.errors
    sides = [
        Side(
            compiled(_before(one, variant.nodes)),
            compiled(variant.contents),
            [node.id for node in variant.nodes],
        )
        for variant in ([] if errors else fate.variants[:MOST_SIDES])
    ]
    nodes = _nodes(one, fate) if one.recipes else []
    return FleetEffect(
        fleet=one.row.name,
        revision=one.row.revision,
        objects=differences(one.before, one.after),
        left_out=list(one.left_out),
        errors=errors,
        unheard=one.unheard,
        engines=[] if errors else engine_effects(one, fate, compiled),
        requests=requests_effect(sides, seen),
        nodes=nodes,
        more_nodes=len(one.nodes) - len(nodes) if one.recipes else 0,
        changed_nodes=_changed(one, fate),
    )


def _before(one: Affected, nodes: Sequence[Node]) -> Contents:
    """Returns what nodes that will get the same had until now: the first of them that is known."""
    known = (one.befores[node.id] for node in nodes if node.id in one.befores)
    return next(known, one.before)


def _nodes(one: Affected, fate: Fate) -> list[NodeEffect]:
    variant_of = {node.id: variant for variant in fate.variants for node in variant.nodes}
    found = []
    for node in _shown(one.nodes):
        variant = variant_of.get(node.id)
        before = one.befores.get(node.id, {})
        found.append(
            NodeEffect(
                agent=node.id,
                name=node.name,
                digest="" if variant is None else shown_digest(variant.contents),
                values={} if variant is None else variant.values,
                objects=[] if variant is None else differences(before, variant.contents),
            )
        )
    return found


def _changed(one: Affected, fate: Fate) -> int:
    """Returns how many nodes would get something else than until now."""
    if not one.recipes and not one.digests:
        return len(one.nodes) if one.before != one.after else 0
    same = digest(one.before)
    count = 0
    for variant in fate.variants:
        after = digest(variant.contents)
        count += sum(one.digests.get(node.id, same) != after for node in variant.nodes)
    return count


def _shown(nodes: Sequence[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: (node.name, node.id))[:MOST_NODES_SHOWN]


def _of_nodes(found: Sequence[Variant], said: Sequence[Sequence[Fault]]) -> list[list[Fault]]:
    """Returns faults of variants with the nodes that have them, unless all nodes do."""
    nodes: dict[tuple[str, str], list[str]] = {}
    for variant, faults in zip(found, said, strict=True):
        for one in faults:
            nodes.setdefault((one.path, one.detail), []).extend(x.name for x in variant.nodes)
    every = sum(len(variant.nodes) for variant in found)

    def named(one: Fault) -> Fault:
        names = sorted(nodes[one.path, one.detail])
        if len(names) == every:
            return one
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        which = ", ".join(names[:_NAMED]) + more
        return one.model_copy(update={"detail": f"{one.detail} (for {which})"})

    return [[named(one) for one in faults] for faults in said]


def _too_many(one: Affected) -> Fault:
    return Fault(
        path=f"fleets.{one.row.name}",
        detail=f"{len(one.nodes)} nodes are too many for values of nodes",
        allowed=f"at most {MOST_NODES}; make several fleets",
    )


def _file(fault: Fault) -> str:
    return fault.path.partition(": ")[0]


def _once(found: Iterable[Sequence[Fault]]) -> list[Fault]:
    return list({(one.path, one.detail): one for part in found for one in part}.values())
