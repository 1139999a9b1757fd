"""Follows includes as nginx resolves them, and collects errors."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from headgate.kernel.utf8 import is_utf8, shown
from headgate.nginxtext.parse import NginxSyntaxError, parse
from headgate.nginxtext.tree import Directive, Document

_WILDCARDS: Final = frozenset(b"*?[")
_DATA_BLOCKS: Final = frozenset({b"split_clients", b"charset_map"})
"""Blocks of values in which `include` is a plain value."""


class Files(Protocol):
    """The source of files; paths are absolute or as the entry's is."""

    def read(self, path: str) -> bytes:
        """Returns a file's bytes; raises `OSError` if it cannot be read."""
        ...

    def glob(self, pattern: str) -> list[str]:
        """Returns files by a pattern of glob(3), sorted by their bytes; empty if none match."""
        ...


class Located(NamedTuple):
    """A directive and its file."""

    file: str
    directive: Directive


class Problem(NamedTuple):
    """A fault that leaves the tree incomplete; line and column are 0 without a place."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}"


class Tree(NamedTuple):
    """An entry file with everything it includes.

    `documents` are the files by path, each once, in the order nginx first reads them; a file that
    cannot be read or parsed is missing there, and `problems` names it. `targets` are the files each
    `include` stands for, by its argument: the directory they are relative to is the same for all.
    """

    entry: str
    documents: Mapping[str, Document]
    targets: Mapping[bytes, tuple[str, ...]]
    problems: tuple[Problem, ...]

    def top(self) -> Iterator[Located]:
        """Yields the directives at the top with those of included files in place of `include`."""
        entry = self.documents.get(self.entry)
        return self.expand(self.entry, entry.directives() if entry else ())

    def inside(self, block: Located) -> Iterator[Located]:
        """Yields the directives of a block, likewise."""
        if block.directive.name in _DATA_BLOCKS:
            return (Located(block.file, one) for one in block.directive.directives())
        return self.expand(block.file, block.directive.directives())

    def expand(self, file: str, directives: Iterable[Directive]) -> Iterator[Located]:
        """Yields directives of a file, likewise;
        leaves out an include that leads to its own file.
        """
        return self._expand(file, directives, (file,))

    def _expand(
        self, file: str, directives: Iterable[Directive], within: tuple[str, ...]
    ) -> Iterator[Located]:
        for directive in directives:
            if not is_include(directive):
                yield Located(file, directive)
                continue
            for target in self.targets.get(directive.args[0].value, ()):
                document = self.documents.get(target)
                if document is not None and target not in within:
                    yield from self._expand(target, document.directives(), (*within, target))


def is_include(directive: Directive) -> bool:
    """Reports whether it is `include FILE;`."""
    return directive.name == b"include" and len(directive.args) == 1 and directive.children is None


def load(entry: str, files: Files) -> Tree:
    """Reads an entry file and what it includes.

    Relative includes are relative to the entry's directory, whichever file they stand in, and a
    pattern may match nothing (nginx: `ngx_conf_include`). Missing files, names that are not UTF-8,
    cycles and syntax errors are problems with their place.
    """
    loader = _Loader(posixpath.dirname(entry), files)
    loader.read(entry, None)
    return Tree(entry, loader.documents, loader.targets, tuple(loader.problems))


class _Loader:
    """Reads depth first, in nginx's order."""

    def __init__(self, prefix: str, files: Files) -> None:
        self._prefix = prefix
        self._files = files
        self._reading: list[str] = []
        self.documents: dict[str, Document] = {}
        self.targets: dict[bytes, tuple[str, ...]] = {}
        self.problems: list[Problem] = []

    def read(self, path: str, by: Located | None) -> None:
        """Reads a file unless it was read before."""
        if path in self._reading:
            chain = " → ".join([*self._reading[self._reading.index(path) :], path])
            self._problem(by, path, f"the file includes itself: {chain}")
            return
        if path in self.documents:
            return
        if not is_utf8(path):
            self._problem(by, shown(path), f"the name {shown(path)} is not UTF-8; rename the file")
            return
        try:
            document = parse(self._files.read(path), path)
        except (OSError, ValueError) as error:
            self._unreadable(path, by, error)
            return
        self.documents[path] = document
        self._reading.append(path)
        self._follow(path, document)
        self._reading.pop()

    def _follow(self, path: str, document: Document) -> None:
        stack = [document.directives()]
        while stack:
            for directive in stack[-1]:
                if is_include(directive):
                    for target in self._resolve(directive.args[0].value):
                        self.read(target, Located(path, directive))
                elif directive.children and directive.name not in _DATA_BLOCKS:
                    stack.append(directive.directives())
                    break
            else:
                stack.pop()

    def _resolve(self, value: bytes) -> tuple[str, ...]:
        if value not in self.targets:
            path = posixpath.join(self._prefix, value.decode(errors="surrogateescape"))
            matched = self._files.glob(path) if _WILDCARDS.intersection(value) else [path]
            self.targets[value] = tuple(matched)
        return self.targets[value]

    def _unreadable(self, path: str, by: Located | None, error: OSError | ValueError) -> None:
        if isinstance(error, NginxSyntaxError):
            self.problems.append(Problem(path, error.line, error.column, error.message))
            return
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self._problem(by, path, f"cannot read {path}: {reason}")

    def _problem(self, by: Located | None, path: str, message: str) -> None:
        if by is None:
            self.problems.append(Problem(path, 0, 0, message))
        else:
            self.problems.append(Problem(by.file, by.directive.line, by.directive.column, message))
