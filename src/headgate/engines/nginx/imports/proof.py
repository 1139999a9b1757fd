"""Proves that an import lost nothing: it compares the kept text word by word with the original, and
the model with that of the re-rendered config.
"""

from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from headgate.engines.nginx.imports import imported, skeleton
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table
from headgate.nginxtext.includes import Located, Problem, Tree
from headgate.nginxtext.parse import parse
from headgate.nginxtext.tree import Directive, walk


class Words(NamedTuple):
    """A directive by nginx's lexer: name, values, whether it is a block, Lua text."""

    name: bytes
    values: tuple[bytes, ...]
    is_block: bool
    body: bytes | None


def words_of(line: Directive) -> Words:
    """Returns the words of a directive."""
    return Words(line.name, line.values, line.children is not None, line.body)


def lost(tree: Tree, one: Imported) -> tuple[Problem, ...]:
    """Returns the first directive of each file
    that is neither model nor kept as it was; none if all are.

    A `server` or `if` that became model stays in the kept text as the frame of its lines.
    """
    became = {(fate.file, fate.line, fate.column) for fate in one.fates if fate.object}
    found = []
    for file, document in tree.documents.items():
        before = [
            line
            for line in walk(document.nodes)
            if _is_frame(line) or skeleton.key_of(Located(file, line)) not in became
        ]
        for line, words in zip_longest(before, kept_words(one.verbatim[file], file)):
            if line is None or words is None or words_of(line) != words:
                found.append(_problem(file, line))
                break
    return tuple(found)


def _is_frame(line: Directive) -> bool:
    return line.name in (b"server", b"if") and line.children is not None


def _problem(file: str, line: Directive | None) -> Problem:
    if line is None:
        return Problem(file, 0, 0, "the kept text has a directive more than the original")
    name = line.name.decode(errors="replace")
    return Problem(file, line.line, line.column, f'"{name}" would be lost')


def kept_words(text: bytes, file: str) -> Iterator[Words]:
    """Yields the directives of a kept text, in order, without what stands for the model."""
    for line in walk(parse(text, file).nodes):
        if line.name not in imported.PLACEHOLDERS:
            yield words_of(line)


def same_model(first: Imported, second: Imported) -> bool:
    """Reports whether two imports have equal objects and equal kept words: the second is that of
    the re-rendered first. That one no longer includes files that went into routes as a whole.
    """
    return _by_path(first) == _by_path(second) and all(
        list(kept_words(first.verbatim[file], file)) == list(kept_words(text, file))
        for file, text in second.verbatim.items()
    )


def _by_path(one: Imported) -> dict[tuple[str, str], Table]:
    """Returns the objects; without the lines of refused places, which move."""
    return {
        (item.section, item.name): {
            key: key if key == "not_imported" else value for key, value in item.table.items()
        }
        for item in one.objects
    }
