"""Tracks the files that nginx reads when it starts on a config."""

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headgate.engines.nginx.instance.rooted import RootedFiles
from headgate.nginxtext.includes import Tree, load
from headgate.nginxtext.tree import Directive, walk

_READ: Final = ("_certificate", "_certificate_key", "_file", "_crl", "_dhparam", "load_module")
"""Ends of the names of directives whose files nginx reads when it starts."""

_NOT_READ: Final = ("access_log", "error_log", "pid", "lock_file", "_path")

_WILD: Final = frozenset("*?[")

Mark = tuple[int, int, int] | None
"""Inode, size and time of the last change; None for what is not there."""


@dataclass(frozen=True, slots=True)
class ReadFiles:
    """Files with their marks. Folders of `include` patterns are among them."""

    marks: tuple[tuple[str, Mark], ...]

    @classmethod
    def of(cls, conf: str) -> "ReadFiles":
        """Returns the files of a config and of its includes; reads all of it."""
        tree = load(conf, RootedFiles())
        return cls(tuple((path, _mark(path)) for path in sorted(set(_paths(tree)))))

    def have_changed(self) -> bool:
        """Reports whether one was changed, removed or made; costs a `stat` for each."""
        return any(_mark(path) != mark for path, mark in self.marks)


def _paths(tree: Tree) -> Iterator[str]:
    folder = posixpath.dirname(tree.entry)
    yield tree.entry
    yield from (posixpath.join(folder, path) for path in tree.documents)
    for written in tree.targets:
        yield from _watched(posixpath.join(folder, os.fsdecode(written)))
    for document in tree.documents.values():
        for one in walk(document.nodes):
            if _is_read(one):
                yield posixpath.join(folder, os.fsdecode(one.values[0]))


def _watched(path: str) -> Iterator[str]:
    """Yields a path; for a pattern the folders in which a further match could appear."""
    if not _WILD.intersection(path):
        yield path
        return
    folder = posixpath.dirname(path)
    yield from RootedFiles().glob(folder)
    yield from _watched(folder)


def _is_read(one: Directive) -> bool:
    name = one.name.decode(errors="replace")
    if not one.args or b"$" in one.values[0] or one.values[0].startswith(b"data:"):
        return False
    return name.endswith(_READ) and not name.endswith(_NOT_READ)


def _mark(path: str) -> Mark:
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
