"""Splits the output of `nginx -T` into files."""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import Final

from headgate.nginxtext.globs import WILDCARDS, for_python
from headgate.nginxtext.includes import load
from headgate.nginxtext.parse import NginxSyntaxError, parse

_STEPS_OF_NAME: Final = 50
_STEPS_OF_PATTERN: Final = 5_000
_MARK = re.compile(rb"^# configuration file (/[^\n]*):\n", re.MULTILINE)


class NoDumpError(ValueError):
    """A text that does not begin as `nginx -T` does."""


class TooManyStepsError(ValueError):
    """Patterns take more work than they may."""


class DumpedFiles:
    """`Files` over files in memory.

    `most_steps` limits the work of all patterns together, in steps of about a nanosecond.
    """

    def __init__(self, files: Mapping[str, bytes], most_steps: int | None = None) -> None:
        self._files = files
        self._root = _Folder()
        self._steps_left = most_steps
        for path in files:
            self._root.add(path)

    def read(self, path: str) -> bytes:
        """Returns a file's bytes; raises `FileNotFoundError`."""
        try:
            return self._files[path]
        except KeyError:
            raise FileNotFoundError(2, "not part of the dump", path) from None

    def glob(self, pattern: str) -> list[str]:
        """Returns paths by a pattern; `*` stops at a slash and does not match a leading dot.

        Raises `TooManyStepsError`.
        """
        self._spend(len(pattern) ** 2)
        level = [self._root]
        for part in for_python(pattern).split("/"):
            if WILDCARDS.intersection(part):
                level = self._matched(part, level)
            else:
                level = [one.inside[part] for one in level if part in one.inside]
            self._spend(len(level) * _STEPS_OF_NAME)
        return sorted(
            (one.path for one in level if one.path is not None),
            key=lambda path: path.encode(errors="surrogateescape"),
        )

    def _matched(self, part: str, folders: Sequence["_Folder"]) -> list["_Folder"]:
        """Returns what is in the folders, by a pattern of names."""
        names = sum(one.names + len(one.inside) * _STEPS_OF_NAME for one in folders)
        self._spend(len(part) * (names + _STEPS_OF_PATTERN))
        is_match = re.compile(fnmatch.translate(part)).match
        may_hide = part.startswith(".")
        return [
            inside
            for folder in folders
            for name, inside in folder.inside.items()
            if (may_hide or not name.startswith(".")) and is_match(name)
        ]

    def _spend(self, steps: int) -> None:
        if self._steps_left is None:
            return
        self._steps_left -= steps
        if self._steps_left < 0:
            raise TooManyStepsError("the patterns match too much")


class _Folder:
    """A folder, a file, or both: `path` is the file's, `names` the length of all names inside."""

    __slots__ = ("inside", "names", "path")

    def __init__(self) -> None:
        self.inside: dict[str, _Folder] = {}
        self.names = 0
        self.path: str | None = None

    def add(self, path: str) -> None:
        """Adds a file by its path from here."""
        at = self
        for part in path.split("/"):
            if part not in at.inside:
                at.inside[part] = _Folder()
                at.names += len(part)
            at = at.inside[part]
        at.path = path


def files_of(dump: bytes) -> dict[str, bytes]:
    """Returns the files of an `nginx -T` output by path, in its order; the first is the entry.

    nginx writes `# configuration file PATH:` before each file and a line end after it. The text
    around a line that looks like a mark decides whether it is one: the file before a mark is whole,
    and something includes the file after it. Raises `NoDumpError` if no line is a mark; leaves out
    what stands before the first (nginx's words on standard error).
    """
    marks = list(_MARK.finditer(dump))
    if not marks:
        raise NoDumpError("this is not the output of nginx -T: no line names a configuration file")
    marks = _after_whole_files(dump, marks)
    while True:
        files = _split(dump, marks)
        included = _included(files)
        kept = [mark for mark in marks if _path(mark) in included]
        if len(kept) == len(marks):
            return files
        marks = kept


def _after_whole_files(dump: bytes, marks: list[re.Match[bytes]]) -> list[re.Match[bytes]]:
    """Returns the marks before which a file ends; each path once."""
    kept = [marks[0]]
    paths = {_path(marks[0])}
    for mark in marks[1:]:
        if _path(mark) not in paths and _is_whole(dump[kept[-1].end() : mark.start() - 1]):
            kept.append(mark)
            paths.add(_path(mark))
    return kept


def _is_whole(text: bytes) -> bool:
    try:
        parse(text)
    except NginxSyntaxError:
        return False
    return True


def _included(files: Mapping[str, bytes]) -> set[str]:
    """Returns the entry, and what the includes reach from it."""
    entry = next(iter(files))
    return {entry, *load(entry, DumpedFiles(files)).documents}


def _split(dump: bytes, marks: list[re.Match[bytes]]) -> dict[str, bytes]:
    ends = [mark.start() for mark in marks[1:]] + [len(dump)]
    return {
        _path(mark): dump[mark.end() : end].removesuffix(b"\n")
        for mark, end in zip(marks, ends, strict=True)
    }


def _path(mark: re.Match[bytes]) -> str:
    return mark[1].decode(errors="surrogateescape")
