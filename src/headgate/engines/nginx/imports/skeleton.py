"""Makes the kept text: the original's files with placeholders for what became model."""

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from headgate.nginxtext.includes import Located
from headgate.nginxtext.tree import Argument, Directive, Node

Key = tuple[str, int, int]
"""File, line and column of a directive."""

Edits = Mapping[Key, Directive]
"""The replacements of directives."""


def key_of(located: Located) -> Key:
    """Returns the identity of a directive in a tree."""
    return (located.file, located.directive.line, located.directive.column)


def placeholder(
    name: bytes, words: Sequence[str | Argument], children: tuple[Node, ...] | None = None
) -> Directive:
    """Returns a `headgate_…` directive; its words are names of objects or as written."""
    args = [word if isinstance(word, Argument) else _quoted(word) for word in words]
    return Directive(name, tuple(args), children, before_end=b"" if children is None else b" ")


def _quoted(word: str) -> Argument:
    value = word.encode()
    escaped = value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return Argument(b'"' + escaped + b'"', value)


def kept_children(block: Directive, is_kept: Callable[[Directive], bool]) -> tuple[Node, ...]:
    """Returns what stays inside a block that became model: kept lines, comments, white space."""
    nodes = block.children or ()
    return tuple(n for n in nodes if not isinstance(n, Directive) or is_kept(n))


def edited(nodes: Sequence[Node], file: str, edits: Edits) -> tuple[Node, ...]:
    """Returns the nodes with the edits applied, at any depth."""
    return tuple(_edited(node, file, edits) for node in nodes)


def _edited(node: Node, file: str, edits: Edits) -> Node:
    if not isinstance(node, Directive):
        return node
    instead = edits.get((file, node.line, node.column))
    if instead is not None:
        return instead
    if not node.children:
        return node
    return replace(node, children=edited(node.children, file, edits))
