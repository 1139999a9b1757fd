"""Reads a node's config: files, or the environment alone."""

import os
from collections.abc import AsyncIterator, Collection, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Final

from headgate.compile.compiler import Compiler
from headgate.compile.emptiness import emptiness
from headgate.compile.explanation import places
from headgate.compile.lints import lints
from headgate.compile.loaded import Loaded, Watched
from headgate.compile.located import locator, said, tls_findings
from headgate.compile.quarantine import LastGood, Refusal
from headgate.compile.routing import shadows
from headgate.compile.sources import Given
from headgate.kernel.diagnostics import Diagnostic, Severity
from headgate.model.environment import for_engine
from headgate.model.files import Files
from headgate.node import fast_open
from headgate.node.key_sets.store import FOLDER
from headgate.node.options import Options
from headgate.node.ports import Candidate, Rejected, Source, Verdict
from headgate.providers.file.disk import DiskFiles, Reading, mark
from headgate.providers.file.watch import PACE, Known, Pace, changes

_SEVERAL: Final = "this process is one node, and the config has several instances"
_AGENT: Final = "restart it as `headgate agent`, or remove them"


def make_source(options: Options) -> Source:
    """Returns the source that the options name;
    paths are taken relative to the working directory.
    """
    paths = [Path(path).absolute() for path in options.configs]
    # What serves elsewhere has a kernel of its own.
    sysctl = fast_open.SYSCTL if options.remote is None else None
    return FileSource(paths, fetched=fetched(options), engine=options.engine, sysctl=sysctl)


def fetched(options: Options) -> PurePath | None:
    """Returns the folder of the key sets that were fetched; None for an engine without tokens."""
    return Path(options.state_dir).absolute() / FOLDER if options.engine == "native" else None


class FileSource:
    """Documents on disk; without paths the environment is the config."""

    def __init__(
        self,
        paths: Sequence[PurePath],
        pace: Pace = PACE,
        fetched: PurePath | None = None,
        engine: str = "native",
        instance: str = "",
        sysctl: Path | None = None,
    ) -> None:
        """`fetched`: the folder of the key sets that were fetched, if any are. `engine`: for which
        the environment is read where it is the config. `instance`: of which the node's settings
        are, if the config has several. `sysctl`: where the kernel tells what it allows of TCP Fast
        Open; None: nobody asks.
        """
        self._paths = list(paths)
        self._pace = pace
        self._fetched = fetched
        self._engine = engine
        self._instance = instance
        self._sysctl = sysctl
        self._compiler = Compiler(fetched, instance)
        self._files = DiskFiles()
        self._known = Known(Watched(frozenset(paths), frozenset()), frozenset(), 0)

    def names(self) -> list[str]:
        """Returns the paths as given."""
        return [str(path) for path in self._paths] or ["environment"]

    def load(self) -> Candidate | Rejected:
        """Reads and compiles the present config."""
        self._files = files = DiskFiles()
        given, through = self._given(files)
        env = for_engine(os.environ, self._engine)
        try:
            loaded = self._compiler.load(given, through, env, self._good(), self._refusals())
        except BaseException:
            self._compiler = Compiler(self._fetched, self._instance)  # its content is unknown now
            raise
        self._watch(loaded, files)
        empty = emptiness(loaded, self.names()[0])
        if empty:
            return Rejected((*loaded.diagnostics, *empty))
        return self._candidate(loaded)

    def _watch(self, loaded: Loaded, files: DiskFiles) -> None:
        """Has changes of the files looked for that were read."""
        watched = self._watched(loaded)
        # The state at the read, not the present one: the difference is a change to report.
        seen = ((p, files.marks.get(p) or mark(p)) for p in watched.files | files.found)
        self._known = Known(watched, frozenset(seen), self._known.number + 1)

    def _given(self, files: DiskFiles) -> tuple[Sequence[PurePath | Given], Files]:
        """Returns the documents to read, and what reads them."""
        return self._paths, files

    def _good(self) -> LastGood:
        """Returns the last good forms of providers' objects; people's files have none."""
        return LastGood()

    def _refusals(self) -> Collection[Refusal]:
        """Returns the providers' objects that the engine refused."""
        return ()

    def isolate(self, candidate: Candidate, verdict: Verdict) -> Candidate | Rejected:
        """Rejects it: people wrote it, so it is served whole or not at all."""
        del candidate
        return Rejected(verdict.errors)

    def _watched(self, loaded: Loaded) -> Watched:
        """Returns what a change may be seen in."""
        # Whoever fetches key sets says so. A path that is a directory now may be a file again.
        files = {path for path in loaded.watched.files if path.parent != self._fetched}
        return Watched(frozenset(files) | frozenset(self._paths), loaded.watched.globs)

    def _candidate(self, loaded: Loaded) -> Candidate | Rejected:
        """Returns what a config without errors is served as."""
        if loaded.plan is None or loaded.node is None:
            return Rejected(loaded.diagnostics)
        if loaded.node.instances:
            place = locator(loaded, self.names()[0])("settings", "", "instances")
            return Rejected((said(place, _SEVERAL, _AGENT),))
        return Candidate(
            plan=loaded.plan,
            node=loaded.node,
            blobs=loaded.blobs,
            warnings=loaded.diagnostics,
            locate=locator(loaded, self.names()[0]),
            places=places(loaded),
            secrets=loaded.secrets,
            lints=partial(_warnings, loaded, self._sysctl),
            quarantined=loaded.quarantined,
            good=loaded.good,
            key_sets=loaded.key_sets if self._fetched is not None else (),
            key_set_contents=loaded.key_set_contents,
        )

    def reading(self) -> Reading | None:
        """Returns the file that `load` waits for now, if any."""
        return self._files.reading

    async def changes(self) -> AsyncIterator[None]:
        """Yields when a file that counts differs from what was read."""
        async for _ in changes(lambda: self._known, self._pace):
            yield


def _warnings(loaded: Loaded, sysctl: Path | None) -> tuple[Diagnostic, ...]:
    """Returns warnings that refuse nothing: of the config, of certificates outside their time, and
    of what the kernel does not allow.
    """
    tls = (one for one in tls_findings(loaded) if one.severity is Severity.WARNING)
    kernel = fast_open.refused(loaded, sysctl) if sysctl is not None else ()
    return (*lints(loaded, shadows), *tls, *kernel)
