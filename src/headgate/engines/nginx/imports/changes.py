"""Reads a unified difference, as a node reports it of a file. Pure."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_HEAD: Final = re.compile(r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+[0-9,]{1,19} @@.*")


class NoDifferenceError(ValueError):
    """A text is not a whole unified difference."""


class Hunk(NamedTuple):
    """Lines in a row: the number of the first one before the change, and each line with its sign:
    ` ` (it stays), `-` (it is gone) or `+` (it is new)."""

    start: int
    lines: tuple[tuple[str, str], ...]

    @property
    def before(self) -> list[tuple[bool, str]]:
        """The lines before the change, and whether each is gone."""
        return [(sign == "-", text) for sign, text in self.lines if sign != "+"]

    def groups(self) -> Iterator[tuple[list[str], list[str] | None]]:
        """Yields lines that stay, with None, and lines that are gone, with those in their place."""
        gone: list[str] = []
        new: list[str] = []
        for sign, text in self.lines:
            if sign == "-" and new:
                yield gone, new
                gone, new = [], []
            if sign == " ":
                if gone or new:
                    yield gone, new
                    gone, new = [], []
                yield [text], None
            else:
                (gone if sign == "-" else new).append(text)
        if gone or new:
            yield gone, new


def hunks_of(text: str) -> list[Hunk]:
    """Returns the hunks of a difference between two files; raises NoDifferenceError.

    >>> hunks_of("--- a/x\\n+++ b/x\\n@@ -1,2 +1,2 @@\\n a\\n-b\\n+c\\n")
    [Hunk(start=1, lines=((' ', 'a'), ('-', 'b'), ('+', 'c')))]
    """
    lines = text.removesuffix("\n").split("\n")
    heads = [line[:4] for line in lines[:2]]
    if heads != ["--- ", "+++ "]:
        raise NoDifferenceError("the node does not show what differs")
    found: list[Hunk] = []
    left = 0
    for line in lines[2:]:
        if left == 0 and (head := _HEAD.fullmatch(line)):
            left = int(head[2] if head[2] is not None else 1)
            # A hunk without a line from before names the line that it follows.
            found.append(Hunk(int(head[1]) + (left == 0), ()))
        elif not found or line[:1] not in {" ", "-", "+"}:
            raise NoDifferenceError("the difference is too long for the node to show all of it")
        else:
            left -= line[0] != "+"
            found[-1] = Hunk(found[-1].start, (*found[-1].lines, (line[0], line[1:])))
    if left:
        raise NoDifferenceError("the difference is too long for the node to show all of it")
    return found
