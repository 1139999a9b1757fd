"""Gathers an import: objects, edits of the text, reasons, notes."""

from collections.abc import Mapping

from headgate.engines.nginx.imports import naming, originals, skeleton
from headgate.engines.nginx.imports.around import Around
from headgate.engines.nginx.imports.imported import Fate, Note
from headgate.engines.nginx.imports.objects import ModelObject, NotExpressibleError, Table
from headgate.nginxtext.includes import Located
from headgate.nginxtext.tree import Directive


class Gathered:
    """The recogniser fills it; `uses` says how often each file is included."""

    def __init__(self, uses: Mapping[str, int]) -> None:
        self._uses = uses
        self.edits: dict[skeleton.Key, Directive] = {}
        self.originals: dict[str, str] = {}
        self.routes: list[ModelObject] = []
        self.middlewares: dict[str, Table] = {}
        self.notes: list[Note] = []
        self.places: list[Around] = []
        """The surroundings of each place of `http` that became a route."""
        self.names = naming.Names()
        self._objects: dict[skeleton.Key, str] = {}
        self._refusals: dict[skeleton.Key, str] = {}
        self._why: dict[skeleton.Key, str] = {}

    def replace(self, located: Located, path: str, instead: Directive) -> None:
        """Records that a directive became a model object, and what stands in its place."""
        self.edits[skeleton.key_of(located)] = instead
        key = originals.key_of(instead)
        self.originals.setdefault(key, originals.text_of(located.directive))
        self.became(located, path)

    def became(self, located: Located, path: str) -> None:
        """Records that a directive became part of a model object."""
        self._objects[skeleton.key_of(located)] = path

    def keep(self, located: Located, why: str) -> None:
        """Records that a block, or a log, stays as written."""
        self._why.setdefault(skeleton.key_of(located), why)

    def refuse(self, located: Located, path: str) -> None:
        """Records the route that refuses what a kept block would have answered."""
        self._refusals.setdefault(skeleton.key_of(located), path)

    def note(self, located: Located, message: str) -> None:
        """Notes a difference."""
        self.notes.append(Note(located.file, located.directive.line, message))

    def fate(self, located: Located) -> Fate:
        """Returns what became of a directive."""
        key = skeleton.key_of(located)
        name = located.directive.name.decode(errors="replace")
        path = self._objects.get(key, "")
        why = "" if path else self._why.get(key, "")
        return Fate(*key, name, path, why, self._refusals.get(key, ""))

    def is_own(self, located: Located) -> bool:
        """Reports whether its file is included only once."""
        return self._uses[located.file] == 1

    def check_own_file(self, located: Located) -> None:
        """Raises `NotExpressibleError` unless it is the file's only place."""
        if not self.is_own(located):
            raise NotExpressibleError(f"{located.file} is included more than once")
