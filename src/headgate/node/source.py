"""Reads a node's config: files, or the environment alone."""

import os
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path, PurePath

from headgate.compile.compiler import Compiler
from headgate.compile.emptiness import emptiness
from headgate.compile.explanation import places
from headgate.compile.lints import lints
from headgate.compile.loaded import Loaded, Watched
from headgate.compile.located import locator, tls_findings
from headgate.compile.routing import shadows
from headgate.kernel.diagnostics import Diagnostic, Severity
from headgate.node.options import Options
from headgate.node.ports import Candidate, Rejected, Source
from headgate.providers.file.disk import DiskFiles, Reading, mark
from headgate.providers.file.watch import PACE, Known, Pace, changes


def make_source(options: Options) -> Source:
    """Returns the source that the options name;
    paths are taken relative to the working directory.
    """
    return FileSource([Path(path).absolute() for path in options.configs])


class FileSource:
    """Documents on disk; without paths the environment is the config."""

    def __init__(self, paths: Sequence[PurePath], pace: Pace = PACE) -> None:
        self._paths = list(paths)
        self._pace = pace
        self._compiler = Compiler()
        self._files = DiskFiles()
        self._known = Known(Watched(frozenset(paths), frozenset()), frozenset(), 0)

    def names(self) -> list[str]:
        """Returns the paths as given."""
        return [str(path) for path in self._paths] or ["environment"]

    def load(self) -> Candidate | Rejected:
        """Reads and compiles the present config."""
        self._files = files = DiskFiles()
        try:
            loaded = self._compiler.load(self._paths, files, os.environ)
        except BaseException:
            self._compiler = Compiler()  # its content is unknown now
            raise
        # A path that is a directory now may be a file again.
        watched = Watched(loaded.watched.files | frozenset(self._paths), loaded.watched.globs)
        # The state at the read, not the present one: the difference is a change to report.
        seen = ((p, files.marks.get(p) or mark(p)) for p in watched.files | files.found)
        self._known = Known(watched, frozenset(seen), self._known.number + 1)
        empty = emptiness(loaded, self.names()[0])
        if loaded.plan is None or loaded.node is None or empty:
            return Rejected((*loaded.diagnostics, *empty))
        return Candidate(
            plan=loaded.plan,
            node=loaded.node,
            blobs=loaded.blobs,
            warnings=loaded.diagnostics,
            locate=locator(loaded, self.names()[0]),
            places=places(loaded),
            secrets=loaded.secrets,
            lints=partial(_warnings, loaded),
        )

    def reading(self) -> Reading | None:
        """Returns the file that `load` waits for now, if any."""
        return self._files.reading

    async def changes(self) -> AsyncIterator[None]:
        """Yields when a file that counts differs from what was read."""
        async for _ in changes(lambda: self._known, self._pace):
            yield


def _warnings(loaded: Loaded) -> tuple[Diagnostic, ...]:
    """Returns warnings that refuse nothing, certificates outside their time included."""
    tls = (one for one in tls_findings(loaded) if one.severity is Severity.WARNING)
    return (*lints(loaded, shadows), *tls)
