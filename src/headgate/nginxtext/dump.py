"""Splits the output of `nginx -T` into files."""

import fnmatch
import re
from collections.abc import Mapping

from headgate.nginxtext.includes import load
from headgate.nginxtext.parse import NginxSyntaxError, parse

_MARK = re.compile(rb"^# configuration file (/[^\n]*):\n", re.MULTILINE)


class NoDumpError(ValueError):
    """A text that does not begin as `nginx -T` does."""


class DumpedFiles:
    """`Files` over files in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files

    def read(self, path: str) -> bytes:
        """Returns a file's bytes; raises `FileNotFoundError`."""
        try:
            return self._files[path]
        except KeyError:
            raise FileNotFoundError(2, "not part of the dump", path) from None

    def glob(self, pattern: str) -> list[str]:
        """Returns paths by a pattern; `*` stops at a slash and does not match a leading dot."""
        wanted = pattern.split("/")
        return sorted(
            (path for path in self._files if _matches(path.split("/"), wanted)),
            key=lambda path: path.encode(errors="surrogateescape"),
        )


def _matches(parts: list[str], wanted: list[str]) -> bool:
    return len(parts) == len(wanted) and all(
        fnmatch.fnmatchcase(part, want) and (not part.startswith(".") or want.startswith("."))
        for part, want in zip(parts, wanted, strict=True)
    )


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
