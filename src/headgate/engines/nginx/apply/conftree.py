"""Reads a release's config as a tree for the lint; decides nothing."""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headgate.engines.nginx.apply.causes import Finding, object_at
from headgate.nginxtext.globs import for_python
from headgate.nginxtext.includes import Located, Tree, load
from headgate.nginxtext.tree import Directive

_Row = tuple[str, Directive, tuple[bytes, ...]]
"""The parts of a `Placed`. The lint needs few of tens of thousands,
and the garbage collector visits a tuple of atoms only once.
"""


class DiskFiles:
    """Files on disk, for `headgate.nginxtext.includes.load`.

    It reads what is below the folder `moved_from` from `moved_to`: a config that includes `current`
    reads as it will once that is another release.
    """

    def __init__(self, moved_from: str = "", moved_to: str = "") -> None:
        self._from = moved_from
        self._to = moved_to

    def read(self, path: str) -> bytes:
        """Returns a file's bytes; raises OSError."""
        return Path(self.moved(path)).read_bytes()

    def glob(self, pattern: str) -> list[str]:
        """Files by a pattern, sorted by their bytes."""
        moved = self.moved(pattern)
        names = glob.glob(for_python(moved))  # noqa: PTH207 - patterns are absolute
        found = sorted(names, key=os.fsencode)
        if moved == pattern:
            return found
        return [f"{self._from}{path.removeprefix(self._to)}" for path in found]

    def moved(self, path: str) -> str:
        """Returns where the file of a path is now."""
        if self._from and path.startswith(f"{self._from}/"):
            return f"{self._to}{path.removeprefix(self._from)}"
        return path


@dataclass(frozen=True, slots=True)
class Placed:
    """A directive, where it stands, and the names of the blocks around it, outermost first."""

    at: Located
    around: tuple[bytes, ...]

    @property
    def directive(self) -> Directive:
        """The directive itself."""
        return self.at.directive

    @property
    def args(self) -> list[str]:
        """Its arguments as text."""
        return [value.decode(errors="surrogateescape") for value in self.directive.values]


@dataclass(frozen=True, slots=True)
class Conf:
    """The config below one nginx.conf. `folder` is what its relative paths are relative to."""

    entry: Path
    tree: Tree
    files: DiskFiles
    by_name: Mapping[bytes, Sequence[_Row]]

    @property
    def folder(self) -> Path:
        """nginx's prefix of config paths: the folder of the main file."""
        return self.entry.parent

    def all(self, *names: str) -> Iterator[Placed]:
        """Yields every directive of these names, at any depth, in nginx's order per name."""
        for name in names:
            for file, directive, around in self.by_name.get(name.encode(), ()):
                yield Placed(Located(file, directive), around)

    def path(self, value: str) -> Path:
        """Returns where the file is that a path in the config means."""
        return Path(self.files.moved(str(self.folder / value)))

    def finding(
        self, placed: Placed | None, code: str, text: str, *, is_error: bool = True
    ) -> Finding:
        """Returns a finding about a directive, with file, line and object."""
        if placed is None:
            return Finding(code, text, is_error=is_error)
        line = placed.directive.line
        about = object_at(self.text(placed.at.file), line)
        return Finding(code, text, self.relative(placed.at.file), line, about, is_error)

    def text(self, file: str) -> str:
        """Returns a file's text; raises OSError if it is gone by now."""
        document = self.tree.documents.get(file)
        data = document.to_bytes() if document is not None else self.files.read(file)
        return data.decode(errors="replace")

    def relative(self, file: str) -> str:
        """Returns a file's path within the release, or unchanged for a file outside of it."""
        path = Path(file)
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else file

    def workers(self) -> int | None:
        """Returns `worker_processes`; None for `auto`. nginx's default is 1."""
        for one in self.all("worker_processes"):
            if not one.around:
                return int(one.args[0]) if one.args[0].isdigit() else None
        return 1


def read_conf(entry: Path, files: DiskFiles | None = None) -> Conf:
    """Returns the config that starts with this file; what cannot be read is in `tree.problems`."""
    files = files or DiskFiles()
    tree = load(str(entry), files)
    return Conf(entry, tree, files, _by_name(tree))


def _by_name(tree: Tree) -> Mapping[bytes, Sequence[_Row]]:
    """Returns every directive by its name."""
    found: dict[bytes, list[_Row]] = {}
    stack: list[tuple[Iterator[Located], tuple[bytes, ...]]] = [(tree.top(), ())]
    while stack:
        lines, around = stack[-1]
        for file, directive in lines:
            found.setdefault(directive.name, []).append((file, directive, around))
            if directive.children is not None:
                stack.append((tree.inside(Located(file, directive)), (*around, directive.name)))
                break
        else:
            stack.pop()
    return found
