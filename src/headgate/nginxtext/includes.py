"""Follows includes as nginx resolves them, and collects errors."""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from headgate.kernel.utf8 import is_utf8, shown
from headgate.nginxtext.globs import WILDCARDS, has_unread
from headgate.nginxtext.parse import NginxSyntaxError, parse
from headgate.nginxtext.tree import Directive, Document

_DATA_BLOCKS: Final = frozenset({b"split_clients", b"charset_map"})
"""Blocks of values in which `include` is a plain value."""
_DEEPEST: Final = 100
_MOST_PROBLEMS: Final = 100


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
    cannot be read or parsed is missing there, and `problems` names it, up to 100 of them. `targets`
    are the files each `include` stands for, by its argument: the directory they are relative to is
    the same for all.
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


def includes_in(document: Document) -> Iterator[tuple[int, Directive]]:
    """Yields the includes at any depth, each with the number of blocks around it."""
    stack = [document.directives()]
    while stack:
        for directive in stack[-1]:
            if is_include(directive):
                yield len(stack) - 1, directive
            elif directive.children and directive.name not in _DATA_BLOCKS:
                stack.append(directive.directives())
                break
        else:
            stack.pop()


def load(entry: str, files: Files) -> Tree:
    """Reads an entry file and what it includes.

    Relative includes are relative to the entry's directory, whichever file they stand in, and a
    pattern may match nothing (nginx: `ngx_conf_include`). Missing files, names that are not UTF-8,
    cycles, patterns with classes, includes nested more than 100 deep with the blocks around them,
    and syntax errors are problems with their place. Linear in the text of files, beside what
    `Files.glob` costs for each pattern.
    """
    loader = _Loader(posixpath.dirname(entry), files)
    loader.read(entry, None)
    return Tree(entry, loader.documents, loader.targets, tuple(loader.problems))


class _Loader:
    """Reads depth first, in nginx's order."""

    def __init__(self, prefix: str, files: Files) -> None:
        self._prefix = prefix
        self._files = files
        self._reading: dict[str, None] = {}
        self._broken: dict[str, OSError | ValueError] = {}
        self._nested: dict[str, int] = {}
        self._several: dict[bytes, frozenset[str]] = {}
        self._depths: dict[bytes, int] = {}
        self._depth = 0
        self.documents: dict[str, Document] = {}
        self.targets: dict[bytes, tuple[str, ...]] = {}
        self.problems: list[Problem] = []

    def read(self, path: str, by: Located | None) -> int:
        """Reads a file unless it was read before; returns how deep includes nest in it, with the
        blocks around them.
        """
        if path in self._reading:
            self._in_a_circle(path, by)
            return 0
        if path in self._broken:
            self._unreadable(path, by, self._broken[path], is_new=False)
            return 0
        nested = self._nested.get(path)
        if self._is_too_deep(nested or 0, by):
            return 0
        return self._read(path, by) if nested is None else nested

    def _read(self, path: str, by: Located | None) -> int:
        if not is_utf8(path):
            self._problem(by, shown(path), f"the name {shown(path)} is not UTF-8; rename the file")
            return 0
        try:
            document = parse(self._files.read(path), path)
        except (OSError, ValueError) as error:
            self._broken[path] = error
            self._unreadable(path, by, error, is_new=True)
            return 0
        self.documents[path] = document
        self._reading[path] = None
        self._nested[path] = self._follow(path, document)
        del self._reading[path]
        return self._nested[path]

    def _follow(self, path: str, document: Document) -> int:
        nested = 0
        for blocks, directive in includes_in(document):
            around = blocks + 1
            self._depth += around
            nested = max(nested, around + self._include(Located(path, directive)))
            self._depth -= around
        return nested

    def _include(self, by: Located) -> int:
        """Follows an include; returns how deep includes nest in its files."""
        value = by.directive.args[0].value
        targets = self._resolve(value)
        if len(targets) == 1:
            return self.read(targets[0], by)
        if value not in self._several:
            self._refuse_unread(by)
            self._several[value] = frozenset(targets)
            for target in targets:
                nested = self.read(target, by)
                self._depths[value] = max(nested, self._depths.get(value, 0))
        elif circle := next((path for path in self._reading if path in self._several[value]), None):
            self._in_a_circle(circle, by)
        else:
            self._is_too_deep(self._depths.get(value, 0), by)
        return self._depths.get(value, 0)

    def _resolve(self, value: bytes) -> tuple[str, ...]:
        if value not in self.targets:
            name = value.decode(errors="surrogateescape")
            path = posixpath.join(self._prefix, name)
            if not WILDCARDS.intersection(name):
                self.targets[value] = (path,)
            else:
                self.targets[value] = () if has_unread(name) else tuple(self._files.glob(path))
        return self.targets[value]

    def _refuse_unread(self, by: Located) -> None:
        """Adds the problem of a pattern, which then has no files, if there is one."""
        name = by.directive.args[0].value.decode(errors="replace")
        if WILDCARDS.intersection(name) and has_unread(name):
            what = "has a class such as [:alpha:] or a backslash in brackets, which is not read"
            self._problem(by, by.file, f"the pattern {name} {what}; write the characters out")

    def _is_too_deep(self, nested: int, by: Located | None) -> bool:
        """Reports whether a file with includes of that depth is one too many, and says so."""
        if by is None or self._depth + nested <= _DEEPEST:
            return False
        self._problem(
            by, by.file, f"includes and their blocks are nested more than {_DEEPEST} deep"
        )
        return True

    def _in_a_circle(self, path: str, by: Located | None) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            reading = list(self._reading)
            chain = " → ".join([*reading[reading.index(path) :], path])
            self._problem(by, path, f"the file includes itself: {chain}")

    def _unreadable(
        self, path: str, by: Located | None, error: OSError | ValueError, *, is_new: bool
    ) -> None:
        if isinstance(error, NginxSyntaxError):
            if is_new:
                self._add(Problem(path, error.line, error.column, error.message))
            return
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self._problem(by, path, f"cannot read {path}: {reason}")

    def _problem(self, by: Located | None, path: str, message: str) -> None:
        if by is None:
            self._add(Problem(path, 0, 0, message))
        else:
            self._add(Problem(by.file, by.directive.line, by.directive.column, message))

    def _add(self, problem: Problem) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)
