"""Reads a Markdown page of the docs: its fenced code blocks and how each of them is run.

A comment right before a fence says how the block is run; no reader of the page sees it:

    <!-- run file: NAME -->      the block becomes this file of the scratch directory
    <!-- run until: COMMAND -->  the block keeps running; the next one starts once COMMAND succeeds
    <!-- run exit: CODE -->      the block ends with this exit code instead of 0
    <!-- run within: SECONDS --> the block may take so long
    <!-- run in: checkout -->    the block runs at the top of the checkout
    <!-- run not: REASON -->     the block cannot run in a test, and why
    <!-- run setup: COMMAND -->  COMMAND runs before the block
    <!-- run ends: all -->       what runs is ended before the block, as by closing its terminals

A block of `sh` is one script. In a block of `console` each line after `$ ` is a command, and the
lines below it are its output; `…` stands for any text in a line, and alone for any lines. A block
of `text` only shows something. Every other block needs `file` or `not`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SCRIPTS: Final = frozenset({"sh", "console"})
KEYS: Final = frozenset({"file", "until", "exit", "within", "in", "not", "setup", "ends"})

_FENCE: Final = re.compile(r"( *)(```+)([\w-]*)\s*")
_MARK: Final = re.compile(r" *<!-- run ([a-z]+): (.*?) -->\s*")


class PageError(Exception):
    """A page that the runner cannot read; the message has the line and says what to write."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `line` is where its fence opens, counted from 1."""

    line: int
    language: str
    text: str
    marks: dict[str, str] = field(default_factory=dict)


def blocks(text: str) -> list[Block]:
    """The blocks of a page, in order. Raises `PageError`."""
    found = list(_blocks(text.split("\n")))
    for one in found:
        _check(one)
    return found


def _blocks(lines: list[str]) -> Iterator[Block]:
    marks: dict[str, str] = {}
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        if mark := _MARK.fullmatch(line):
            if mark[1] not in KEYS:
                raise PageError(f"line {number}: unknown mark {mark[1]!r}; use {sorted(KEYS)}")
            marks[mark[1]] = mark[2]
        elif fence := _FENCE.fullmatch(line):
            yield Block(number, fence[3], _body(numbered, number, fence[1], fence[2]), marks)
            marks = {}
        elif line.strip() and marks:
            raise PageError(f"line {number}: a mark stands before text; put it before a fence")
    if marks:
        raise PageError("the page ends after a mark; put it before a fence")


def _body(numbered: Iterator[tuple[int, str]], opened: int, indent: str, fence: str) -> str:
    lines: list[str] = []
    for _, line in numbered:
        if line.strip() == fence:
            return "".join(f"{one}\n" for one in lines)
        lines.append(line.removeprefix(indent))
    raise PageError(f"line {opened}: the block has no end; close it with {fence}")


def _check(block: Block) -> None:
    marks = block.marks
    if "not" in marks:
        if len(marks) > 1:
            raise PageError(f"line {block.line}: 'not' stands alone; remove the other marks")
        return
    if block.language == "text":
        if marks:
            raise PageError(f"line {block.line}: a text block takes no mark but 'not'")
        return
    if block.language not in SCRIPTS and "file" not in marks:
        raise PageError(
            f"line {block.line}: nothing runs {block.language or 'this'!r};"
            " add <!-- run file: NAME --> or <!-- run not: REASON -->"
        )
    if not marks.get("within", "1").isdecimal():
        raise PageError(f"line {block.line}: 'within' is no number; write seconds")
    for key, only in (("in", "checkout"), ("ends", "all")):
        if marks.get(key, only) != only:
            raise PageError(f"line {block.line}: {key!r} is {only!r}; remove it or write that")
