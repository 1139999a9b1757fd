"""Leaves out of a release the server names that nginx ignores, because it had them before: nginx
warns of them at each reload, and an apply counts the warning as an error.

`$server_name` is the first name of a server, also where nginx ignores that, so that it is written
out where the first name is left out.
"""

import itertools
import re
from collections.abc import Iterator, Sequence, Set
from typing import Final, NamedTuple

from msgspec.structs import replace

from headgate.engines.nginx.imports import listens, naming
from headgate.nginxtext.includes import Located
from headgate.nginxtext.tree import Argument, Directive, Node, walk
from headgate.nginxtext.writer import Plain, argument

_NOBODY: Final = "taken-{}.invalid"
"""A name, by a number of its own, for a line whose names all belong to earlier servers:
without a name the server would get requests without a host.
"""

_USE: Final = re.compile(rb"\$(?:server_name\b|\{server_name\})")
_PLAIN: Final = re.compile(rb"[A-Za-z0-9._*-]+")
_IN_LUA: Final = b"server_name"
_IN_REDIRECT: Final = b"server_name_in_redirect"


class Left(NamedTuple):
    """The directives of `http` without what nginx ignores, and what differs."""

    nodes: list[Node]
    notes: tuple[str, ...]


def left_out(nodes: Sequence[Node]) -> Left:
    """Returns the directives of `http` without the server names that nginx ignores."""
    taken: dict[str, set[bytes]] = {}
    numbers = itertools.count(1)
    out: list[Node] = []
    notes: list[str] = []
    around = [one for one in nodes if isinstance(one, Directive) and one.name != b"server"]
    for node in nodes:
        if not isinstance(node, Directive) or node.name != b"server" or node.children is None:
            out.append(node)
            continue
        lines = [one for one in node.directives() if one.name == b"listen"]
        found = [listens.listen_of(Located("", one)) for one in lines]
        on = {one.address for one in found if one is not None} or {listens.DEFAULT_ADDRESS}
        words = [one.values for one in node.directives() if one.name == b"server_name"]
        names = [name.lower() for values in words for name in values]
        gone = {at for at, name in enumerate(names) if not _is_used(name, taken, on)}
        server = _without_names(node, gone, numbers) if gone else node
        if 0 in gone:
            name = names[0].removeprefix(b".")
            server = _written_out(server, name) if _PLAIN.fullmatch(name) else server
            if _is_told(server) or any(map(_is_told, around)):
                notes.append(_note(name))
        out.append(server)
    return Left(out, tuple(notes))


def _is_used(name: bytes, taken: dict[str, set[bytes]], on: Set[str]) -> bool:
    """Reports whether nginx uses a name on one of these addresses; it is taken from then on."""
    patterns = (name[1:], b"*" + name) if name.startswith(b".") else (name,)
    return any([naming.take_patterns(patterns, taken.setdefault(each, set())) for each in on])


def _without_names(server: Directive, gone: Set[int], numbers: Iterator[int]) -> Directive:
    """Returns a server without the names at these places among all its names."""
    at = itertools.count()
    children: list[Node] = []
    for one in server.children or ():
        if isinstance(one, Directive) and one.name == b"server_name":
            left = tuple(word for word in one.args if next(at) not in gone)
            left = left or (argument(Plain(_NOBODY.format(next(numbers)))),)
            children.append(replace(one, args=left))
        else:
            children.append(one)
    return replace(server, children=tuple(children))


def _written_out(line: Directive, name: bytes) -> Directive:
    """Returns a directive with this text in place of `$server_name`."""
    args = tuple(_word(one, name) for one in line.args)
    if line.children is None:
        return replace(line, args=args)
    children = [
        _written_out(one, name) if isinstance(one, Directive) else one for one in line.children
    ]
    return replace(line, args=args, children=tuple(children))


def _word(word: Argument, name: bytes) -> Argument:
    if not _USE.search(word.value):
        return word
    return replace(word, raw=_USE.sub(name, word.raw), value=_USE.sub(name, word.value))


def _is_told(block: Directive) -> bool:
    """Reports whether a directive, or one within it, uses the first name of its server."""
    return any(_uses(one) for one in (block, *walk(block.children or ())))


def _uses(line: Directive) -> bool:
    if line.name == _IN_REDIRECT and line.values == (b"on",):
        return True
    return any(map(_USE.search, line.values)) or (line.body is not None and _IN_LUA in line.body)


def _note(name: bytes) -> str:
    text = name.decode(errors="replace")
    return f"`$server_name` is another one here where it would be {text}, an earlier server's name"
