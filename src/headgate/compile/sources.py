"""Finds and reads the documents of a config, and notices what changed in them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import groupby
from pathlib import PurePath
from typing import Final

from headgate._core import Document, parse_text
from headgate.kernel.diagnostics import Diagnostic, Severity, dotted
from headgate.kernel.nearest import listed
from headgate.kernel.utf8 import is_utf8, shown
from headgate.model import environment
from headgate.model.files import Files
from headgate.model.nuls import may_hold_nul, nuls
from headgate.model.problems import Problem
from headgate.model.references import MARK
from headgate.model.text import SUFFIXES, position, read_document

EntryKey = tuple[str, str]
"""(section, name) as in the text; the name is empty if the section is not a table."""

Changed = dict[EntryKey, None]
"""Entries in the order of the text, each once; a pass in that order is the fastest."""

_WILD: Final = "*?["
_OWN: Final = frozenset({"include", "node"})
_DEEPEST: Final = 16
"""The most includes in a row."""
_EMPTY: Final = parse_text("empty", b"{}", "json")


class Trust(StrEnum):
    """The kind of author of a document, which decides what an error in it does."""

    REFUSE_WHOLE = "refuse whole"
    """People wrote it: any error refuses the whole config."""
    QUARANTINE = "quarantine"
    """A provider wrote it: an error concerns the object that has it, and the document reaches
    nothing of this machine, neither files beside it nor the environment."""


@dataclass(frozen=True, slots=True)
class Given:
    """A document to read, and what is known of it before it is read."""

    path: PurePath
    trust: Trust = Trust.REFUSE_WHOLE
    directory: PurePath | None = None
    """The base of its relative paths; None = its own directory."""


@dataclass(frozen=True)
class Source:
    """One document; `document` is None when its text is not valid (`wrong` says why)."""

    path: PurePath
    content: bytes
    document: Document | None
    wrong: tuple[Diagnostic, ...] = ()
    uses_environment: bool = False
    """True if it contains `${env:…}`."""
    trust: Trust = Trust.REFUSE_WHOLE
    base: PurePath | None = None
    """The base of its relative paths; None = its own directory."""

    @cached_property
    def name(self) -> str:
        """Its name in diagnostics."""
        return str(self.path)

    @cached_property
    def may_hold_null(self) -> bool:
        """True if its format knows null."""
        return self.document is not None and self.document.format != "toml"

    @cached_property
    def directory(self) -> PurePath:
        """The base of its relative paths."""
        return self.path.parent if self.base is None else self.base

    def keys(self) -> list[EntryKey]:
        """Returns the entries it defines."""
        return self.document.changes(_EMPTY)[0] if self.document else []

    def sections(self) -> set[str]:
        """Returns the top-level keys it has."""
        return {section for section, _ in self.keys()}

    def defines(self, key: EntryKey) -> bool:
        """Reports whether it defines that entry."""
        return self.document is not None and self.document.defines(*key)

    def diagnostic(self, problem: Problem) -> Diagnostic:
        """Returns the problem with its position in this document."""
        line, column = (0, 0)
        if self.document is not None and self.name != environment.NAME:
            line, column = position(self.document, problem.path, problem.where)
        return Diagnostic(
            file=self.name,
            line=line,
            column=column,
            path=dotted(problem.path),
            message=problem.message,
            allowed=problem.allowed,
            severity=problem.severity,
        )


class Gathering:
    """One walk over the given paths and their includes."""

    def __init__(self, files: Files, before: Mapping[PurePath, Source]) -> None:
        self._files = files
        self._before = before
        self._given: Mapping[PurePath, Given] = {}
        self.sources: dict[PurePath, Source] = {}
        self.wrong: list[Diagnostic] = []
        self.globs: set[PurePath] = set()

    def gather(self, given: Sequence[PurePath | Given]) -> None:
        """Reads documents and directories of them, then everything they include."""
        paths = [one.path if isinstance(one, Given) else one for one in given]
        self._given = {one.path: one for one in given if isinstance(one, Given)}
        for path in paths:
            if path in self._given:
                self._add(path)
                continue
            if not self._files.is_directory(path):
                self._add(path)
                continue
            patterns = [path / f"*{suffix}" for suffix in SUFFIXES]
            self.globs.update(patterns)
            try:
                documents = sorted(f for pattern in patterns for f in self._files.glob(pattern))
            except OSError as wrong:
                self.sources[path] = Source(path, b"", None, (_unreadable(path, wrong),))
                continue
            if not documents:
                message = "the directory holds no config"
                allowed = f"put a file into it that ends in {listed(SUFFIXES, quote=False)}"
                self.wrong.append(Diagnostic(file=str(path), message=message, allowed=allowed))
            for found in documents:
                self._add(found)
        self._refuse_nothing(paths)

    def _refuse_nothing(self, paths: Sequence[PurePath]) -> None:
        """Refuses an empty file and a directory in a file's place:
        the user did not ask to stop serving.
        """
        if self.wrong or any(s.wrong or s.content.strip() for s in self.sources.values()):
            return
        if paths:
            message, allowed = "there is no config in it", "write at least one section"
            self.wrong.append(Diagnostic(file=str(paths[0]), message=message, allowed=allowed))

    def _add(self, path: PurePath, depth: int = 0) -> None:
        if path in self.sources:
            return
        if not is_utf8(str(path)):
            message, allowed = "the name of the file is not UTF-8", "rename or remove it"
            self.wrong.append(Diagnostic(file=shown(str(path)), message=message, allowed=allowed))
            return
        try:
            content = self._files.read(path)
        except OSError as wrong:
            self.sources[path] = Source(path, b"", None, (_unreadable(path, wrong),))
            return
        before = self._before.get(path)
        if before is None or before.content != content or before.document is None:
            read = read_document(str(path), content, before.document if before else None)
            of = self._given.get(path) or Given(path)
            before = (
                Source(path, content, None, (read,), False, of.trust, of.directory)
                if isinstance(read, Diagnostic)
                else _checked(
                    Source(
                        path, content, read, (), MARK.encode() in content, of.trust, of.directory
                    )
                )
            )
        self.sources[path] = before
        self._include(before, depth)

    def _include(self, source: Source, depth: int) -> None:
        for index, pattern in _includes(source):
            place = source.path.parent / pattern
            if any(c in str(place.parent) for c in _WILD):
                allowed = "write `*` and `?` in the last part of the path only"
                self._refuse(source, index, f'"{pattern}" has a directory with wildcards', allowed)
                continue
            self.globs.add(place)
            try:
                found = self._files.glob(place)
            except OSError as wrong:
                why = (wrong.strerror or type(wrong).__name__).lower()
                what = f'the directory of "{pattern}" cannot be listed: {why}'
                self._refuse(source, index, what, "name one that headgate may list")
                continue
            if not found:
                self._matches_nothing(source, index, pattern)
            elif depth == _DEEPEST:
                # Perhaps in a circle: each turn has another name ("a/../a/../a/x.toml").
                what = f'"{pattern}" is the {depth + 1}th include in a row'
                self._refuse(source, index, what, "include every file from fewer levels")
                return
            for path in found:
                self._add(path, depth + 1)

    def _matches_nothing(self, source: Source, index: int, pattern: str) -> None:
        """Reports an error, except for a pattern beside other sources:
        its directory may be empty for now.
        """
        place = source.path.parent / pattern
        severity = Severity.ERROR
        if any(c in place.name for c in _WILD):
            what, allowed = "matches no file", "write a pattern that does, or remove it"
            if source.sections() - {"include"}:
                severity = Severity.WARNING
        elif self._files.is_directory(place):
            what, allowed = "is a directory", f'write "{pattern.rstrip("/")}/*.toml"'
        else:
            what, allowed = "does not exist", "name an existing file, or remove it"
        self._refuse(source, index, f'"{pattern}" {what}', allowed, severity)

    def _refuse(
        self,
        source: Source,
        index: int,
        message: str,
        allowed: str,
        severity: Severity = Severity.ERROR,
    ) -> None:
        problem = Problem(("include", index), message, allowed, severity=severity)
        self.wrong.append(source.diagnostic(problem))


def _unreadable(path: PurePath, wrong: OSError) -> Diagnostic:
    why = (wrong.strerror or type(wrong).__name__).lower()
    allowed = "name a file that headgate may read"
    return Diagnostic(file=str(path), message=f"the file cannot be read: {why}", allowed=allowed)


def _checked(source: Source) -> Source:
    """Returns the source, or one without a document if it says what no such document may."""
    found = [*_nuls(source), *_of_the_node(source)]
    if not found:
        return source
    wrong = tuple(source.diagnostic(problem) for problem in found)
    return replace(source, document=None, wrong=wrong, uses_environment=False)


def _of_the_node(source: Source) -> list[Problem]:
    """Returns the settings of a node that somebody else's document gives."""
    if source.trust is Trust.REFUSE_WHOLE:
        return []
    what = "a published config says nothing about the node itself"
    allowed = "write it into the node's own config"
    keys = source.keys()
    own = (key for key in keys if key[0] in _OWN)
    return [
        Problem((section, name) if name else (section,), what, allowed) for section, name in own
    ]


def _nuls(source: Source) -> list[Problem]:
    """Returns the texts of a document that hold a NUL."""
    if source.document is None or not may_hold_nul(source.content):
        return []
    found: list[Problem] = []
    keys = source.keys()
    for section, name in keys:
        at = (section, name) if name else (section,)
        if "\0" in section + name:
            what, allowed = "the name holds a NUL character", "write it without"
            found.append(Problem(at, what, allowed, "key"))
        found += nuls(source.document.entry(section, name), at)
    return found


def _includes(source: Source) -> Sequence[tuple[int, str]]:
    if not source.defines(("include", "")) or source.document is None:
        return ()
    value = source.document.entry("include", "")
    items = enumerate(value) if isinstance(value, list) else ()
    return [(index, item) for index, item in items if isinstance(item, str)]


def from_environment(env: Mapping[str, str]) -> Source:
    """Returns the document that environment variables alone make."""
    text, found = environment.document_text(env)
    path = PurePath(environment.NAME)
    document = read_document(f"{environment.NAME}.json", text)
    wrong = tuple(
        Diagnostic(file=environment.NAME, path=dotted(p.path), message=p.message, allowed=p.allowed)
        for p in found
    )
    return Source(path, text, document if isinstance(document, Document) else None, wrong)


class Sources:
    """The documents as last seen, and which of them defines an entry."""

    def __init__(self) -> None:
        self._by_path: dict[PurePath, Source] = {}
        self._owners: dict[EntryKey, list[PurePath]] = {}
        self._env: dict[str, str] = {}
        self.wrong: tuple[Diagnostic, ...] = ()
        self.globs: frozenset[PurePath] = frozenset()
        self.shared: set[EntryKey] = set()
        """Entries that several documents define."""

    def refresh(
        self, paths: Sequence[PurePath | Given], files: Files, env: Mapping[str, str]
    ) -> Changed:
        """Reads everything again; returns the entries that changed."""
        before = self._unaffected_by(env)
        gathering = Gathering(files, before)
        gathering.gather(paths)
        if not paths:
            source = from_environment(env)
            gathering.sources[source.path] = source
        self._env = dict(env)
        changed = self._replace_all(gathering.sources)
        self.globs = frozenset(gathering.globs)
        own = [d for source in self._by_path.values() for d in source.wrong]
        self.wrong = (*own, *gathering.wrong)
        return changed

    def _unaffected_by(self, env: Mapping[str, str]) -> dict[PurePath, Source]:
        if env == self._env:
            return self._by_path
        return {p: s for p, s in self._by_path.items() if not s.uses_environment}

    def _replace_all(self, sources: dict[PurePath, Source]) -> Changed:
        changed: Changed = {}
        old = self._by_path
        for path, source in old.items():
            if path not in sources:
                changed |= self._forget(source)
        self._by_path = sources
        for path, source in sources.items():
            before = old.get(path)
            if before is source:
                continue
            if before is None or before.document is None or source.document is None:
                changed |= self._forget(before) if before else {}
                changed |= self._learn(source)
            else:
                changed |= self._update(before.document, source)
        self._keep_order(changed)
        return changed

    def _forget(self, source: Source) -> Changed:
        keys = dict.fromkeys(source.keys())
        for key in keys:
            self._disown(key, source.path)
        return keys

    def _learn(self, source: Source) -> Changed:
        keys = source.keys()
        for key in keys:
            self._owners.setdefault(key, []).append(source.path)
        return dict.fromkeys(keys)

    def _update(self, before: Document, source: Source) -> Changed:
        assert source.document is not None  # noqa: S101 - the caller looked
        here, gone = source.document.changes(before)
        if source.uses_environment:
            here = source.keys()
        for key in gone:
            self._disown(key, source.path)
        for key in here:
            owners = self._owners.get(key)
            if owners is None:
                self._owners[key] = [source.path]
            elif source.path not in owners:
                owners.append(source.path)
        return dict.fromkeys([*here, *gone])

    def _disown(self, key: EntryKey, path: PurePath) -> None:
        owners = self._owners.get(key, [])
        if path in owners:
            owners.remove(path)
        if not owners:
            self._owners.pop(key, None)

    def _keep_order(self, changed: Changed) -> None:
        """Keeps owners in the order of the documents, whichever was read again last."""
        if len(self._by_path) == 1 and not self.shared:
            return
        order = {path: index for index, path in enumerate(self._by_path)}
        for key in changed:
            owners = self._owners.get(key, ())
            if len(owners) > 1:
                self._owners[key].sort(key=order.__getitem__)
                self.shared.add(key)
            else:
                self.shared.discard(key)

    def __iter__(self) -> Iterator[Source]:
        return iter(self._by_path.values())

    def entries_of(self, section: str) -> list[EntryKey]:
        """Returns every entry of a section that some document defines."""
        return [key for key in self._owners if key[0] == section]

    def owners(self, key: EntryKey) -> list[Source]:
        """Returns the documents that define an entry, in their order; more than one is an error."""
        return [self._by_path[path] for path in self._owners.get(key, ())]

    def by_owner(self, keys: Iterable[EntryKey]) -> Iterator[tuple[Source | None, list[EntryKey]]]:
        """Yields entries in their order, as many as possible at once, with the document that is
        the first to define them; None if no document does.
        """
        owners = self._owners
        for path, mine in groupby(keys, lambda key: owners[key][0] if key in owners else None):
            yield self._by_path[path] if path is not None else None, list(mine)

    def owner(self, key: EntryKey) -> Source | None:
        """Returns the first document that defines an entry."""
        owners = self._owners.get(key)
        return self._by_path[owners[0]] if owners else None
