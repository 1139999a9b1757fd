"""Compiles documents into a plan, and keeps per object its last result.

Every result is a pure function of the texts, the files they refer to and the environment; the kept
results only save work. One edited object costs that object and the buckets of the digest tree it
falls into; a new or removed name costs one look at every reference.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from headgate.compile.loaded import Loaded, Watched
from headgate.compile.node import NodeUnit, node_unit
from headgate.compile.origins import TextOrigins
from headgate.compile.reads import Reads, unchanged
from headgate.compile.review import Review
from headgate.compile.sources import Changed, EntryKey, Source, Sources
from headgate.compile.table import UnitTable
from headgate.compile.together import LEAST, crowds, together
from headgate.compile.toplevel import stray
from headgate.compile.unit import Context, unit
from headgate.kernel.collector import paused
from headgate.kernel.diagnostics import has_errors
from headgate.model.config import SECTIONS
from headgate.model.files import Files
from headgate.model.problems import Problem
from headgate.plan.kinds import ObjectKey
from headgate.plan.plan import Plan, PlanEntry


class Compiler:
    """Loads a config again and again. Not for several threads at once."""

    def __init__(self) -> None:
        self._sources = Sources()
        self._table = UnitTable()
        self._review = Review()
        self._stray: dict[EntryKey, list[tuple[Source, Problem]]] = {}
        self._defaults: tuple[str, ...] = ()
        self._context: Context | None = None
        self._node: NodeUnit | None = None
        self._plan = Plan()

    def load(self, paths: Sequence[PurePath], files: Files, env: Mapping[str, str]) -> Loaded:
        """Returns what the documents at `paths` say now, with every problem there is.

        A directory stands for the documents in it. Without paths the environment alone is the
        config. Raises nothing for what a user can get wrong.
        """
        with paused():
            return self._load(paths, files, env)

    def _load(self, paths: Sequence[PurePath], files: Files, env: Mapping[str, str]) -> Loaded:
        changed = self._sources.refresh(paths, files, env)
        reading = self._table.reading.items()
        changed |= dict.fromkeys(k for k, u in reading if not unchanged(files, u.seen))
        node = self._node
        # A file's mode counts, too, so it checks a node that reads files each time.
        if node is None or node.seen or any(section == "node" for section, _ in changed):
            self._node = node = node_unit(self._sources, files, env)
        self._compile(changed, files, env)
        diagnostics = self._review.diagnostics(self._sources, self._table, node, self._stray)
        failed = has_errors(diagnostics)
        if not failed:
            self._plan = self._plan.with_changes(self._changes(node))
        return Loaded(
            plan=None if failed else self._plan,
            node=None if failed else node.settings,
            blobs={} if failed else self._table.blobs(),
            secrets=frozenset() if failed else self._table.secrets(),
            diagnostics=diagnostics,
            watched=self._watched(node),
            origins=TextOrigins(tuple(self._sources), self._table.written()),
        )

    def _compile(self, changed: Changed, files: Files, env: Mapping[str, str]) -> None:
        """Compiles listeners first: routes attach to the default ones."""
        self._context = None
        listeners = [key for key in changed if key[0] == "listeners"]
        for key in listeners:
            self._renew(key, files, env)
        others = changed
        if listeners:
            others = {key: None for key in changed if key[0] != "listeners"}
            others |= self._default_listeners_changed()
        for key in self._renew_together(others, files, env):
            self._renew(key, files, env)

    def _renew_together(self, keys: Changed, files: Files, env: Mapping[str, str]) -> Changed:
        """Compiles entries that are alike as one; returns the others."""
        if len(keys) < LEAST:
            return keys
        done: set[EntryKey] = set()
        for source, mine in self._sources.by_owner(keys):
            if source.document is None:
                continue
            for crowd in crowds(source.document, mine):
                units = together(crowd, self._context_of(source, files, env))
                if units:
                    self._table.put_all(crowd.keys, units)
                    done.update(crowd.keys)
        return {key: None for key in keys if key not in done} if done else keys

    def _default_listeners_changed(self) -> Changed:
        """Returns the routes to compile again because the default listeners are others now."""
        defaults = self._table.default_listeners()
        if defaults == self._defaults:
            return {}
        self._defaults = defaults
        self._context = None
        return self._table.taking_defaults()

    def _renew(self, key: EntryKey, files: Files, env: Mapping[str, str]) -> None:
        section = SECTIONS.get(key[0])
        if section is None or key[1] == "":
            self._check_stray(key)
            return
        source = self._sources.owner(key)
        if source is None or source.document is None:
            self._table.drop(key)
            return
        context = self._context_of(source, files, env)
        self._table.put(key, unit(section, key[1], source.document.entry(*key), context))

    def _context_of(self, source: Source, files: Files, env: Mapping[str, str]) -> Context:
        context = self._context
        if context is None or context.source is not source or context.reads.is_used:
            reads = Reads(files, source.directory)
            variables = env if source.uses_environment else None
            context = self._context = Context(source, reads, variables, self._defaults)
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
        if node.plan is not None:
            changes[node.plan.key] = node.plan
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
