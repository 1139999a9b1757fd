"""Keeps the text that a `headgate_…` line replaced.

While an object is unchanged since the import, nginx runs its original text, word by word; the
`headgate_…` line is the key to that text.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from headgate.engines.nginx.imports import imported
from headgate.nginxtext.parse import parse
from headgate.nginxtext.tree import Directive, Node, to_bytes, walk

Originals = Mapping[str, str]
"""Text by key; bytes as Latin-1, since a config need not be UTF-8."""

_CODING = "latin-1"


class ChangedLineError(ValueError):
    """The import did not write a `headgate_…` line of the kept text; says which."""


def key_of(line: Directive) -> str:
    """Returns the key of a `headgate_…` line, with what is kept in it."""
    words = b"\0".join(
        b"\1".join((one.name, *one.values, one.body or b"")) for one in walk((line,))
    )
    return words.decode(_CODING)


def text_of(line: Directive) -> str:
    """Returns the text of a directive of the original."""
    return to_bytes((line,)).decode(_CODING)


def restored(verbatim: Mapping[str, bytes], originals: Originals) -> dict[str, bytes]:
    """Returns the files of the original config, with the edits of the kept text.

    Raises `ChangedLineError`.
    """
    return {
        path: to_bytes(_restored(path, parse(data, path).nodes, originals))
        for path, data in verbatim.items()
    }


def _restored(path: str, nodes: tuple[Node, ...], originals: Originals) -> tuple[Node, ...]:
    out: list[Node] = []
    for node in nodes:
        if not isinstance(node, Directive):
            out.append(node)
        elif node.name in imported.PLACEHOLDERS:
            out += _original(path, node, originals)
        elif node.children:
            out.append(_with_children(node, _restored(path, node.children, originals)))
        else:
            out.append(node)
    return tuple(out)


def _with_children(node: Directive, children: tuple[Node, ...]) -> Directive:
    return replace(node, children=children)


def _original(path: str, line: Directive, originals: Originals) -> tuple[Node, ...]:
    found = originals.get(key_of(line))
    if found is None:
        name = line.name.decode(errors="replace")
        raise ChangedLineError(
            f"{path}: line {line.line} of the kept text: `{name}` is not as the import wrote it; "
            "leave these lines as they are, and write nginx's own directives beside them"
        )
    return parse(found.encode(_CODING), path).nodes
