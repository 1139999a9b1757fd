"""Reads config text by format in the core, with positions on demand."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Final

from headgate._core import Document, TextError, parse_text
from headgate.kernel.diagnostics import ConfigPath, Diagnostic
from headgate.kernel.nearest import listed
from headgate.model.problems import Where

SUFFIXES: Final[Mapping[str, str]] = {
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
}
"""The format of a document by its suffix."""


def read_document(
    name: str, content: bytes, before: Document | None = None
) -> Document | Diagnostic:
    """Returns the document of that name, or why it cannot be read; the suffix says the format.

    `before` is the document of an earlier form of the text: it reads only the edits then.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix not in SUFFIXES:
        return Diagnostic(
            file=name,
            message=f'the suffix "{suffix}" says no format',
            allowed=f"give it a name that ends in {listed(SUFFIXES, quote=False)}",
        )
    try:
        return parse_text(name, content, SUFFIXES[suffix], before)
    except TextError as wrong:
        return Diagnostic(file=name, line=wrong.line, column=wrong.column, message=wrong.message)


def position(document: Document, path: ConfigPath, where: Where) -> tuple[int, int]:
    """Returns line and column of a path, or of the nearest part around it that the text has."""
    if path and (found := document.locate(path, where)):
        return found
    written: ConfigPath = ()
    for part in path:
        if document.locate((*written, part), "value"):
            written = (*written, part)
        elif isinstance(part, str):
            # A missing key has no position; report the table that lacks it.
            return document.locate(written, "value") or (1, 1)
        # A single item in place of a list has no index in the text: `match = { … }` is `match[0]`.
    return document.locate(written, where) or (1, 1)
