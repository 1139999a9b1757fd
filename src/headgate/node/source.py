"""The source of a node's config: files, or the environment alone."""

import os
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path, PurePath

from headgate.compile.compiler import Compiler
from headgate.compile.explanation import places
from headgate.compile.lints import lints
from headgate.compile.loaded import Loaded, Watched
from headgate.compile.located import locator, tls_findings
from headgate.compile.routing import shadows
from headgate.kernel.diagnostics import Diagnostic, Severity
from headgate.node.options import Options
from headgate.node.ports import Candidate, Rejected, Source
from headgate.providers.file.disk import DiskFiles
from headgate.providers.file.watch import Fingerprint, changes, fingerprint


def make_source(options: Options) -> Source:
    """The source that the options name; paths are taken relative to the working directory."""
    return FileSource([Path(path).absolute() for path in options.configs])


class FileSource:
    """Documents on disk; without paths the environment is the config."""

    def __init__(self, paths: Sequence[PurePath]) -> None:
        self._paths = list(paths)
        self._compiler = Compiler()
        self._watched = Watched(frozenset(paths), frozenset())
        self._seen: Fingerprint | None = None

    def names(self) -> list[str]:
        """The paths as given."""
        return [str(path) for path in self._paths] or ["environment"]

    def load(self) -> Candidate | Rejected:
        """Reads and compiles what is there now."""
        loaded = self._compiler.load(self._paths, DiskFiles(), os.environ)
        # A path that is a directory now may be a file again.
        files = loaded.watched.files | frozenset(self._paths)
        self._watched = Watched(files, loaded.watched.globs)
        self._seen = fingerprint(self._watched)
        if loaded.plan is None or loaded.node is None:
            return Rejected(loaded.diagnostics)
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

    async def changes(self) -> AsyncIterator[None]:
        """Yields when a file that counts has changed, also since it was read last."""
        if self._seen is not None and fingerprint(self._watched) != self._seen:
            yield
        async for _ in changes(lambda: self._watched):
            yield


def _warnings(loaded: Loaded) -> tuple[Diagnostic, ...]:
    """What is served all the same but should be looked at, certificates outside their time too."""
    tls = (one for one in tls_findings(loaded) if one.severity is Severity.WARNING)
    return (*lints(loaded, shadows), *tls)
