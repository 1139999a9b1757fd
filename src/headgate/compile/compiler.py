"""Compiles documents into a plan, and keeps per object its last result.

Every result is a pure function of the texts, the files they refer to and the environment; the kept
results only save work. One edited object costs that object and the buckets of the digest tree it
falls into; a new or removed name costs one look at every reference.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import PurePath
from typing import Final, NamedTuple

from headgate._core import Document
from headgate.compile.credentials import Asking
from headgate.compile.isolation import (
    Isolated,
    LoadedPlan,
    NotIsolableError,
    good_after,
    isolate,
)
from headgate.compile.loaded import Loaded, Watched
from headgate.compile.node import NodeUnit, node_unit
from headgate.compile.origins import TextOrigins
from headgate.compile.quarantine import LastGood, Refusal
from headgate.compile.reads import Reads, unchanged
from headgate.compile.review import Review
from headgate.compile.sources import Changed, EntryKey, Given, Source, Sources, Trust
from headgate.compile.table import UnitTable
from headgate.compile.together import crowds, together
from headgate.compile.toplevel import stray
from headgate.compile.unit import Context, Unit, unit
from headgate.kernel.collector import paused
from headgate.kernel.diagnostics import Diagnostic, Severity, has_errors
from headgate.model.config import SECTIONS, Section
from headgate.model.files import Files
from headgate.model.problems import Problem
from headgate.plan.kinds import ObjectKey
from headgate.plan.plan import Plan, PlanEntry

_NOTHING: Final = LastGood()


class _Past(NamedTuple):
    """The results of earlier configs: what was served last, and what an engine refused."""

    last: LastGood
    refused: Collection[Refusal]


class Compiler:
    """Loads a config again and again. Not for several threads at once."""

    def __init__(self, key_sets: PurePath | None = None, instance: str = "") -> None:
        """`key_sets`: the folder of the key sets that were fetched; None where nothing is served,
        as in commands. `instance`: the one of the node's instances whose settings count.
        """
        self._instance = instance
        self._key_sets = key_sets
        self._sources = Sources()
        self._table = UnitTable()
        self._review = Review()
        self._stray: dict[EntryKey, list[tuple[Source, Problem]]] = {}
        self._defaults: tuple[str, ...] = ()
        self._listener_addresses: Mapping[str, tuple[str, ...]] = {}
        self._context: Context | None = None
        self._node: NodeUnit | None = None
        self._plan = Plan()
        self._asking = Asking()

    def load(
        self,
        paths: Sequence[PurePath | Given],
        files: Files,
        env: Mapping[str, str],
        last: LastGood = _NOTHING,
        refused: Collection[Refusal] = (),
    ) -> Loaded:
        """Returns what the documents at `paths` say now, with every problem there is.

        A directory stands for the documents in it. Without paths the environment alone is the
        config. Raises nothing for what a user can get wrong. `last`: what was served last, for
        providers' objects that have errors now; `refused`: those that an engine refused.
        """
        with paused():
            return self._load(paths, files, env, _Past(last, refused))

    def _load(
        self,
        paths: Sequence[PurePath | Given],
        files: Files,
        env: Mapping[str, str],
        past: _Past,
    ) -> Loaded:
        changed = self._sources.refresh(paths, files, env)
        reading = self._table.reading.items()
        changed |= dict.fromkeys(k for k, u in reading if not unchanged(files, u.seen))
        node = self._node
        # A file's mode counts, too, so it checks a node that reads files each time.
        if node is None or node.seen or any(section == "node" for section, _ in changed):
            self._node = node = node_unit(self._sources, files, env, self._instance)
        changed |= self._listeners_moved(node)
        self._table.known_defaults = past.last.defaults
        self._compile(changed, files, env)
        diagnostics = self._review.diagnostics(self._sources, self._table, node, self._stray)
        if any(source.trust is Trust.QUARANTINE for source in self._sources):
            return self._isolated(node, diagnostics, past)
        failed = has_errors(diagnostics)
        if not failed:
            self._plan = self._plan.with_changes(self._changes(node))
        return Loaded(
            plan=None if failed else self._plan,
            node=None if failed else node.settings,
            blobs={} if failed else {**self._table.blobs(), **node.blobs},
            secrets=frozenset() if failed else self._table.secrets() | node.secrets,
            diagnostics=diagnostics,
            watched=self._watched(node),
            origins=TextOrigins(tuple(self._sources), self._table.written()),
            key_sets=() if failed else self._table.key_sets(),
            key_set_contents={} if failed else self._table.key_set_contents(),
        )

    def _isolated(self, node: NodeUnit, diagnostics: tuple[Diagnostic, ...], past: _Past) -> Loaded:
        """Returns a load with providers' documents: their broken objects are quarantined."""
        blamed, more = self._review.blamed, diagnostics
        isolated: Isolated | None = None
        if blamed is not None and node.plan is not None:
            more = tuple(one for one in diagnostics if one.severity is Severity.WARNING)
            try:
                isolated = isolate(blamed, self._sources, self._table, *past)
                more = (*more, *isolated.warnings)
            except NotIsolableError as error:
                more = (*diagnostics, *error.diagnostics)
        if isolated is None or node.plan is None:
            return self._loaded(node, tuple(sorted(more)), None)
        self._asking = Asking()
        self._asking.take(isolated.outcome.objects)
        objects = {**isolated.outcome.objects, node.plan.key: self._asking.hide(node.plan)}
        self._table.take_changes()
        self._plan = self._plan.with_changes(_differences(self._plan.objects, objects))
        return self._loaded(node, tuple(sorted(more)), isolated, past.last)

    def _loaded(
        self,
        node: NodeUnit,
        diagnostics: tuple[Diagnostic, ...],
        isolated: Isolated | None,
        last: LastGood = _NOTHING,
    ) -> Loaded:
        origins = TextOrigins(tuple(self._sources), self._table.written())
        if isolated is None:
            nothing = frozenset[str]()
            return Loaded(None, None, {}, nothing, diagnostics, self._watched(node), origins)
        quarantined = isolated.outcome.quarantined
        kept = LoadedPlan(
            self._plan.objects,
            isolated.blobs,
            isolated.secrets,
            quarantined,
            self._table.default_listeners(),
            isolated.outcome.stood,
        )
        return Loaded(
            plan=self._plan,
            node=node.settings,
            blobs={**isolated.blobs, **node.blobs},
            secrets=isolated.secrets | node.secrets,
            diagnostics=diagnostics,
            watched=self._watched(node),
            origins=origins,
            quarantined=quarantined,
            good=good_after(last, kept),
            key_sets=self._table.key_sets(),
            key_set_contents=self._table.key_set_contents(),
        )

    def _compile(self, changed: Changed, files: Files, env: Mapping[str, str]) -> None:
        """Compiles listeners first: routes attach to the default ones."""
        self._context = None
        listeners = {key: None for key in changed if key[0] == "listeners"}
        others = changed
        if listeners:
            self._renew(listeners, files, env)
            others = {key: None for key in changed if key[0] != "listeners"}
        self._renew(others | self._default_listeners_changed(), files, env)

    def _renew(self, keys: Changed, files: Files, env: Mapping[str, str]) -> None:
        """Compiles entries, those of a section in one go, and forgets those that are gone."""
        named = [key for key in keys if key[1] and key[0] in SECTIONS]
        if len(named) < len(keys):
            for key in keys.keys() - set(named):
                self._check_stray(key)
        for source, mine in self._sources.by_owner(named):
            if source is None or source.document is None:
                for key in mine:
                    self._table.drop(key)
                continue
            for section, same in groupby(mine, itemgetter(0)):
                context = partial(self._context_of, source, files, env)
                units = _units(SECTIONS[section], list(same), source.document, context)
                self._table.put_all(units)

    def _default_listeners_changed(self) -> Changed:
        """Returns the routes to compile again because the default listeners are others now."""
        defaults = self._table.default_listeners()
        if defaults == self._defaults:
            return {}
        self._defaults = defaults
        self._context = None
        return self._table.taking_defaults()

    def _listeners_moved(self, node: NodeUnit) -> Changed:
        """Returns the listeners that this node opens elsewhere than before."""
        before = self._listener_addresses
        now = self._listener_addresses = node.settings.listener_addresses if node.settings else {}
        known = self._table.names["listener"]
        names = (name for name in {**before, **now} if before.get(name) != now.get(name))
        return {known[name]: None for name in names if name in known}

    def _context_of(self, source: Source, files: Files, env: Mapping[str, str]) -> Context:
        context = self._context
        if context is None or context.source is not source or context.reads.is_used:
            is_confined = source.trust is Trust.QUARANTINE
            reads = Reads(files, source.directory, is_confined=is_confined, key_sets=self._key_sets)
            mine: Mapping[str, str] = {} if is_confined else env
            variables = mine if source.uses_environment else None
            context = self._context = Context(
                source, reads, variables, self._defaults, self._listener_addresses
            )
        return context

    def _check_stray(self, key: EntryKey) -> None:
        self._stray.pop(key, None)
        if key[0] == "node":
            return
        found = [
            (source, problem)
            for source in self._sources.owners(key)
            if source.document is not None
            for problem in stray(
                key[0],
                source.document.entry(*key),
                is_named_empty=key[1] == "" and source.document.locate(key, "key") is not None,
            )
        ]
        if found:
            self._stray[key] = found

    def _changes(self, node: NodeUnit) -> dict[ObjectKey, PlanEntry | None]:
        """Returns what the last plan lacks, without objects that came out equal."""
        changes = self._table.take_changes()
        self._asking.take(changes)
        if node.plan is not None:
            changes[node.plan.key] = self._asking.hide(node.plan)
        get = self._plan.objects.get
        return {
            key: new
            for key, new in changes.items()
            if (old := get(key)) is not new
            and (old is None or new is None or old.digest != new.digest)
        }

    def _watched(self, node: NodeUnit) -> Watched:
        files = {source.path for source in self._sources} | set(node.seen)
        for unit_ in self._table.reading.values():
            files.update(unit_.seen)
        return Watched(frozenset(files), self._sources.globs)


def _differences(
    before: Mapping[ObjectKey, PlanEntry], now: Mapping[ObjectKey, PlanEntry]
) -> dict[ObjectKey, PlanEntry | None]:
    """Returns what changes one set of objects into another."""
    changes: dict[ObjectKey, PlanEntry | None] = {key: None for key in before if key not in now}
    for key, one in now.items():
        old = before.get(key)
        if old is None or old.digest != one.digest:
            changes[key] = one
    return changes


def _units(
    section: Section, keys: list[EntryKey], document: Document, context: Callable[[], Context]
) -> dict[EntryKey, Unit]:
    """Compiles entries of a section; those that are alike, as one."""
    found: dict[EntryKey, Unit] = {}
    for crowd in crowds(section, document, keys):
        found.update(together(crowd, context()))
    for key in keys:
        if key not in found:
            found[key] = unit(section, key[1], document.entry(*key), context())
    return found
