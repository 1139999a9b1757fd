"""The source of a node's config: files, or the environment alone."""

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path, PurePath

from headgate.compile.compiler import Compiler
from headgate.compile.explanation import places
from headgate.compile.loaded import Loaded, Watched
from headgate.kernel.diagnostics import Diagnostic, dotted
from headgate.model.config import SECTIONS
from headgate.node.options import Options
from headgate.node.ports import Candidate, Locate, Rejected, Source
from headgate.plan.kinds import KINDS
from headgate.providers.file.disk import DiskFiles
from headgate.providers.file.watch import Fingerprint, changes, fingerprint

_SECTION_OF = {section.kind: key for key, section in SECTIONS.items()}


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
        self._watched = loaded.watched
        self._seen = fingerprint(loaded.watched)
        if loaded.plan is None or loaded.node is None:
            return Rejected(loaded.diagnostics)
        return Candidate(
            plan=loaded.plan,
            node=loaded.node,
            blobs=loaded.blobs,
            warnings=loaded.diagnostics,
            locate=locator(loaded, self.names()[0]),
            places=places(loaded),
        )

    async def changes(self) -> AsyncIterator[None]:
        """Yields when a file that counts has changed, also since it was read last."""
        if self._seen is not None and fingerprint(self._watched) != self._seen:
            yield
        async for _ in changes(lambda: self._watched):
            yield


def locator(loaded: Loaded, fallback: str) -> Locate:
    """Finds where an object, or a field of it, is written; `fallback` is named when nothing is."""

    def locate(kind: str, name: str, path: str) -> Diagnostic:
        where = [part for part in path.replace("[", ".").replace("]", "").split(".") if part]
        parts = [int(part) if part.isdecimal() else part for part in where]
        known = next((one for one in KINDS if one == kind), None)
        place = None
        while known is not None and place is None:
            place = loaded.place(known, name, *parts)
            if not parts:
                break
            parts.pop()  # the plan's names are not always the text's: its object will do
        written = dotted((_SECTION_OF[known], name)) if known in _SECTION_OF else "node"
        shown = f"{written}.{path}" if path else written
        if place is None:
            return Diagnostic(file=fallback, path=shown, message="")
        return Diagnostic(
            file=place.file, line=place.line, column=place.column, path=shown, message=""
        )

    return locate
