"""Defines what a user learns about a config: where, what is wrong, what is allowed.

Rendered as `file:line:column: path: what is wrong; what is allowed`, or as JSON. A secret's value
never goes into one.
"""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

_BARE = re.compile(r"[A-Za-z0-9_-]+")

ConfigPath = tuple[str | int, ...]
"""Keys and indexes from the top of a document: `("routes", "api", "match", 0, "path")`."""


class Severity(StrEnum):
    """The severity of a diagnostic; an error refuses the config."""

    ERROR = "error"
    WARNING = "warning"


class Diagnostic(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A fact that a user should know.

    `line` and `column` count from 1 and are 0 where there is no position (the environment, a file
    that cannot be read). `path` is the dotted path in the document, `message` what is wrong and
    `allowed` what would be right (empty when there is nothing to choose from).
    """

    file: str
    line: int = 0
    column: int = 0
    path: str = ""
    message: str
    allowed: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """Returns one line: `file:line:column: path: what; allowed`, warnings marked as such."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f" {self.path}:" if self.path else ""
        mark = " warning:" if self.severity is Severity.WARNING else ""
        allowed = f"; {self.allowed}" if self.allowed else ""
        return _visible(f"{place}:{mark}{path} {self.message}{allowed}")


def _visible(text: str) -> str:
    """Returns the text in one line, with escapes for what a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def dotted(path: Sequence[str | int]) -> str:
    """Returns a path as the config would write it.

    >>> dotted(("hosts", "a.example", "middlewares", 0))
    'hosts."a.example".middlewares[0]'
    """
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
            continue
        quoted = part if _BARE.fullmatch(part) else '"' + part.replace('"', '\\"') + '"'
        out += f".{quoted}" if out else quoted
    return out


def render_text(diagnostics: Iterable[Diagnostic]) -> str:
    """Returns one line each, in the order given; empty text for none."""
    return "".join(f"{diagnostic}\n" for diagnostic in diagnostics)


def render_json(diagnostics: Iterable[Diagnostic]) -> bytes:
    """Returns a JSON array of objects with the fields of `Diagnostic`."""
    return msgspec.json.encode(list(diagnostics))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Reports whether any of them refuses the config."""
    return any(d.severity is Severity.ERROR for d in diagnostics)
