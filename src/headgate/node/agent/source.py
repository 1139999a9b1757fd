"""Reads the config of an agent: the master's newest bundle, and the settings of the node itself."""

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

import msgspec

from headgate.compile.load import load
from headgate.compile.loaded import Loaded, Watched
from headgate.compile.located import locator, said
from headgate.compile.quarantine import LastGood, Refusal
from headgate.compile.settings import NodeSettings
from headgate.compile.sources import Given
from headgate.kernel.diagnostics import Diagnostic
from headgate.model.config import SECTIONS
from headgate.model.files import Files
from headgate.node.agent.refused import Refused
from headgate.node.ports import Candidate, NothingYetError, Rejected, Verdict
from headgate.node.source import FileSource
from headgate.providers.file.disk import DiskFiles
from headgate.providers.master.bundle import Bundle
from headgate.providers.master.documents import BundleFiles, documents
from headgate.providers.master.forms import LastForms
from headgate.providers.master.store import BundleStore

if TYPE_CHECKING:
    from headgate.node.agent.imports import ImportFolders

_ELSEWHERE: Final = (
    "the config of an agent comes from its master, and its own file has [node] alone"
)
_PUBLISH: Final = "publish it at the master, or run the node with `headgate run`"
_PARTS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^.\[\]"]+')
"""The keys of a dotted path, as they are written."""


class MasterSource(FileSource):
    """The bundle that the master offers while it is tried, else the last good one."""

    def __init__(
        self,
        own: Sequence[PurePath],
        store: BundleStore,
        master: str,
        fetched: PurePath | None = None,
        instance: str = "",
        imports: "ImportFolders | None" = None,
    ) -> None:
        """`own`: documents with the node's settings, may be none; `master`: what people call it;
        `fetched`: the folder of the key sets that were fetched, if any are; `instance`: the one of
        the agent's instances that this is, if it has several; `imports`: where imported nginx
        configs go, None for an engine that runs none.
        """
        super().__init__(own, fetched=fetched, instance=instance)
        self._own = list(own)
        self._store = store
        self._master = master
        self._offered: Bundle | None = None
        self._last = store.last_good()
        self._refused = Refused()
        self._before = self._refused
        """The refused parts of the last good bundle, while another one is offered."""
        self._forms = LastForms(store.folder)
        self._last_good = self._forms.read()
        self._observes = False
        self._imports = imports

    @property
    def last(self) -> Bundle | None:
        """The last good bundle."""
        return self._last

    def names(self) -> list[str]:
        """Returns the master with the revision that counts, and the node's own documents."""
        bundle = self._offered or self._last
        what = f"revision {bundle.revision}" if bundle is not None else "no revision yet"
        return [f"{self._master} ({what})", *map(str, self._own)]

    def own_settings(self) -> NodeSettings | None:
        """Returns what the node's own documents say of it; None if they have errors."""
        return load(self._own, DiskFiles(), os.environ, self._instance).node

    def offer(self, bundle: Bundle) -> None:
        """Makes the next loads read this bundle, until `keep` or `withdraw`."""
        if self._offered is None:
            self._before = self._refused
        self._refused = Refused()
        self._offered = bundle

    def withdraw(self) -> None:
        """Makes the next loads read the last good bundle again."""
        self._refused = self._before
        self._offered = None

    def keep(self, bundle: Bundle) -> None:
        """Makes a bundle that was served the last good one, on disk too. Raises OSError."""
        self._last = bundle
        self._offered = None
        self._store.promote(bundle)
        if self._imports is not None:
            self._imports.keep(bundle)

    def served(self, candidate: Candidate) -> None:
        """Remembers the last good form of each object, on disk where one is quarantined."""
        self._last_good = candidate.good
        self._forms.write(candidate.good, candidate.quarantined)

    def load(self) -> Candidate | Rejected:
        """Reads and compiles the present config.

        Raises NothingYetError before the first bundle, except for a node that observes an nginx: it
        does so before the master has anything for it.
        """
        self._refused.begin()
        bundle = self._offered or self._last
        if self._own:
            self._files = files = DiskFiles()
            own = load(self._own, files, os.environ, self._instance)
            if wrong := _own_errors(own):
                self._watch(own, files)
                return Rejected(wrong)
            self._observes = _observes(own.node)
        if bundle is not None and not self._own and not documents(bundle):
            # Without any document the environment would be the config.
            what, allowed = "the revision is empty", "publish a listener and a route"
            return Rejected((Diagnostic(file=self.names()[0], message=what, allowed=allowed),))
        return super().load()

    def isolate(self, candidate: Candidate, verdict: Verdict) -> Candidate | Rejected:
        """Returns the same bundle with what the engine refused in quarantine, if that can be."""
        before = self._refused.copy()
        found: Candidate | Rejected = Rejected(verdict.errors)
        if self._refused.add(candidate, verdict):
            found = super().load()
        if isinstance(found, Rejected):
            self._refused = before
        return found

    def _candidate(self, loaded: Loaded) -> Candidate | Rejected:
        if self._imports is not None and loaded.node is not None:
            node = self._imports.served(loaded.node, self._offered or self._last)
            if isinstance(node, Diagnostic):
                return Rejected((node,))
            loaded = replace(loaded, node=node)
        return super()._candidate(loaded)

    def _refusals(self) -> Collection[Refusal]:
        return self._refused.listed()

    def _given(self, files: DiskFiles) -> tuple[Sequence[PurePath | Given], Files]:
        bundle = self._offered or self._last
        if bundle is None and self._observes:
            return self._own, files
        if bundle is None:
            raise NothingYetError(f"no config came from {self._master} yet")
        return [*self._own, *documents(bundle)], BundleFiles(bundle, files)

    def _good(self) -> LastGood:
        return self._last_good

    def _watched(self, loaded: Loaded) -> Watched:
        """Returns files of this machine only; a bundle does not change."""
        watched = super()._watched(loaded)
        own = {path for path in watched.files if path.is_absolute()}
        return Watched(frozenset(own) | frozenset(self._own), watched.globs)


def _own_errors(loaded: Loaded) -> tuple[Diagnostic, ...]:
    """Returns why the node's own documents cannot be used."""
    if loaded.plan is None:
        return tuple(dict.fromkeys(map(_of_the_node, loaded.diagnostics)))
    strange = (key for key in loaded.plan.objects if key.kind != "settings")
    return tuple(_published_elsewhere(loaded, key.kind, key.name) for key in strange)


def _of_the_node(wrong: Diagnostic) -> Diagnostic:
    """Returns an error; of an object that does not belong here it says that, whatever is wrong."""
    parts = _PARTS.findall(wrong.path)
    if not parts or parts[0] not in SECTIONS:
        return wrong
    return said(msgspec.structs.replace(wrong, path=".".join(parts[:2])), _ELSEWHERE, _PUBLISH)


def _observes(node: NodeSettings | None) -> bool:
    """Returns whether the node watches an nginx that others drive."""
    return node is not None and node.engine == "nginx" and node.nginx.mode == "observe"


def _published_elsewhere(loaded: Loaded, kind: str, name: str) -> Diagnostic:
    place = locator(loaded, "config")(kind, name, "")
    return said(place, _ELSEWHERE, _PUBLISH)
