"""Defines a finding of a check."""

from typing import Literal

import msgspec

Level = Literal["high", "medium", "low"]
"""high: can be abused or fails; medium: weakens or surprises; low: worth a look."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong in an nginx config.

    `id` names the check (`alias_traversal`), `message` says what is wrong and why it matters,
    `advice` what to do. Line and column count from 1; both are 0 without a place.
    """

    id: str
    level: Level
    file: str
    line: int
    column: int
    message: str
    advice: str

    def __str__(self) -> str:
        """Returns one line: `file:line:column: level id: message; advice`."""
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.level} {self.id}: {self.message}; {self.advice}"
