"""Defines the lossless tree of one nginx file:
directives, comments and the white space between them.

Every byte of a file stands in exactly one field of one node, so `Document.to_bytes` needs no
source. Nodes are frozen: an edited tree is a new one (`msgspec.structs.replace`), and since none
can hold itself, the garbage collector does not track them (`gc=False`, half of the parsing time).
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

SPACES: Final = b" \t\r\n"
"""Everything that nginx treats as white space; a no-break space or a form feed is not."""


class Argument(msgspec.Struct, frozen=True, gc=False):
    """One word of a directive.

    `raw` is the word as written, with its quotes, `value` what nginx makes of it, `before` the
    white space and comments between the word before and this one.
    """

    raw: bytes
    value: bytes
    before: bytes = b" "

    @property
    def is_quoted(self) -> bool:
        """True if it is quoted."""
        return self.raw[:1] in (b'"', b"'")


class Space(msgspec.Struct, frozen=True, gc=False):
    """White space between directives."""

    text: bytes


class Comment(msgspec.Struct, frozen=True, gc=False):
    """`# …` up to the line end, without it; `text` holds the `#`."""

    text: bytes
    line: int = 0
    column: int = 0


class Directive(msgspec.Struct, frozen=True, gc=False):
    """A directive with its arguments and its block.

    `name` is unquoted, `name_raw` as written. `children` is None for a simple directive. `body` is
    the text between the braces of a Lua block, None otherwise; such a directive has no children.
    `before_end` stands between the last word and `;` or `{`. `line` and `column` are those of the
    name's first byte, from 1, columns in bytes; both are 0 in a directive that was not parsed.
    """

    name: bytes
    args: tuple[Argument, ...] = ()
    children: "tuple[Node, ...] | None" = None
    body: bytes | None = None
    line: int = 0
    column: int = 0
    name_raw: bytes = b""
    before_end: bytes = b""

    @property
    def values(self) -> tuple[bytes, ...]:
        """The values that nginx makes of the arguments."""
        return tuple([argument.value for argument in self.args])

    def directives(self) -> "Iterator[Directive]":
        """Returns the directives right inside, without comments
        and white space; none if not a block.
        """
        return (node for node in self.children or () if isinstance(node, Directive))

    def to_bytes(self) -> bytes:
        """Returns the directive as in the text."""
        return to_bytes((self,))


Node = Directive | Comment | Space


class Document(msgspec.Struct, frozen=True):
    """One file; `name` is its name in messages."""

    name: str
    nodes: tuple[Node, ...]

    def directives(self) -> Iterator[Directive]:
        """Yields the directives at the top, without comments and white space."""
        return (node for node in self.nodes if isinstance(node, Directive))

    def to_bytes(self) -> bytes:
        """Returns the bytes of the file as it was parsed."""
        return to_bytes(self.nodes)


def walk(nodes: Sequence[Node]) -> Iterator[Directive]:
    """Yields every directive at any depth, in the order of the text."""
    stack = [iter(nodes)]
    while stack:
        for node in stack[-1]:
            if isinstance(node, Directive):
                yield node
                if node.children:
                    stack.append(iter(node.children))
                    break
        else:
            stack.pop()


def to_bytes(nodes: Sequence[Node]) -> bytes:
    """Returns nodes as written, at any depth."""
    out: list[bytes] = []
    stack = [iter(nodes)]
    while stack:
        for node in stack[-1]:
            if isinstance(node, Directive):
                _head(node, out)
                if node.children is not None:
                    stack.append(iter(node.children))
                    break
            else:
                out.append(node.text)
        else:
            stack.pop()
            if stack:
                out.append(b"}")
    return b"".join(out)


def _head(node: Directive, out: list[bytes]) -> None:
    """Adds a directive up to its `;`, its `{` or, of a Lua block, its `}`."""
    add = out.append
    add(node.name_raw or node.name)
    for argument in node.args:
        add(argument.before)
        add(argument.raw)
    add(node.before_end)
    if node.children is not None:
        add(b"{")
    elif node.body is not None:
        add(b"{")
        add(node.body)
        add(b"}")
    else:
        add(b";")
