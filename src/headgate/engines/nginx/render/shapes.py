"""Puts hosts of one shape into one server; maps look up by the host what differs between them.

A server costs nginx some 30 KiB, and each location that passes to an upstream by a variable as much
again, with an `SSL_CTX` of its own before nginx 1.23. Many hosts mostly differ in names alone: of
the route, of the upstream. Servers whose directives agree but for values in which nginx evaluates
variables become one server with all their names, and each such value a `map` of `$host`, by which
nginx chose the server. Pure.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

from headgate.engines.nginx.render import names
from headgate.features.nginx import Shared
from headgate.nginxtext.lexer import value_of
from headgate.nginxtext.tree import Argument, Directive, Node
from headgate.nginxtext.writer import Literal, MapKey, Plain, Var, comment, directive

FEWEST: Final = 8
"""This many servers of one shape become one; fewer are easier to read as they are."""

_VALUE_AT: Final = {
    b"set": 1,
    b"proxy_pass": 0,
    b"return": 1,
    b"add_header": 1,
    b"proxy_set_header": 1,
}
"""The index of the argument in which nginx evaluates variables per request."""

_CAPTURE: Final = re.compile(rb"\$[1-9]")
_NAMED: Final = 8
_LONGEST_COMMENT: Final = 300
_HIDDEN: Final = Argument(b"", b"")

Server = tuple[tuple[str, ...], str | None, Sequence[Node]]
"""Names, host, and its comment and directive."""

Shape = tuple[object, ...]


class _Step(NamedTuple):
    """A node of a shape without its values; for a block, the steps inside it."""

    name: bytes
    raws: tuple[bytes, ...]
    inside: "Shape | None"


@dataclass(slots=True)
class _Group:
    """Servers of one shape and their values, in the order of the text."""

    servers: list[Server]
    values: list[list[Argument]]


def files(servers: Iterable[Server], shared: Shared) -> dict[str, list[Node]]:
    """Returns the servers' text by file; `shared` takes the maps."""
    found: dict[str, list[Node]] = {}
    for shape, group in _groups(servers).items():
        if shape is not None and len(group.servers) >= FEWEST:
            digest = sha256(repr(shape).encode()).hexdigest()[:8]
            found[f"http/_shape-{digest}.conf"] = _one_server(group, shared)
            continue
        for _, host, text in group.servers:
            found.setdefault(names.host_file(host), []).extend(text)
    return found


def _groups(servers: Iterable[Server]) -> dict[Shape | None, _Group]:
    """Returns servers by shape; None for those that stay alone."""
    found: dict[Shape | None, _Group] = {}
    for server in servers:
        values: list[Argument] = []
        shape = None
        if all(name and not name.startswith("~") for name in server[0]):
            shape = tuple(_shape(server[2], values))
        group = found.setdefault(shape, _Group([], []))
        group.servers.append(server)
        group.values.append(values)
    return found


def _shape(nodes: Iterable[Node], values: list[Argument]) -> Iterator[_Step]:
    """Yields what servers must have in common; collects the values in which they may differ."""
    for node in nodes:
        if not isinstance(node, Directive):
            continue
        args = node.args
        at = _VALUE_AT.get(node.name)
        if node.name == b"server_name":
            args = ()
        elif at is not None and at < len(args) and not _has_capture(args[at].value):
            values.append(args[at])
            args = (*args[:at], _HIDDEN, *args[at + 1 :])
        inside = None if node.children is None else tuple(_shape(node.children, values))
        yield _Step(node.name, tuple([arg.raw for arg in args]), inside)


def _has_capture(value: bytes) -> bool:
    """Reports whether a value holds a group of the last expression."""
    return _CAPTURE.search(value) is not None


def _one_server(group: _Group, shared: Shared) -> list[Node]:
    """Returns one server for all of them."""
    (first,) = (node for node in group.servers[0][2] if isinstance(node, Directive))
    by_host = _ByHost(
        shared,
        [names for names, _, _ in group.servers],
        iter(zip(*group.values, strict=True)),
    )
    all_names = [name for names, _, _ in group.servers for name in names]
    children = list(by_host.nodes(first.children or (), all_names))
    some = ", ".join(all_names[:_NAMED])
    text = f"{len(group.servers)} hosts of one shape: {some}"
    more = ", …" if len(all_names) > _NAMED else ""
    return [comment(text[:_LONGEST_COMMENT] + more), directive("server", children=children)]


@dataclass(slots=True)
class _ByHost:
    """Rebuilds the directives of the first server with all hosts' values, in the same order."""

    shared: Shared
    names: list[tuple[str, ...]]
    values: Iterator[tuple[Argument, ...]]

    def nodes(self, nodes: Iterable[Node], all_names: Sequence[str]) -> Iterator[Node]:
        """Yields the directives, each value constant or by the host."""
        for node in nodes:
            if not isinstance(node, Directive):
                continue
            at = _VALUE_AT.get(node.name)
            if node.name == b"server_name":
                yield directive("server_name", *map(Plain, all_names))
            elif at is not None and at < len(node.args) and not _has_capture(node.args[at].value):
                args = (*node.args[:at], self._value(node, next(self.values)), *node.args[at + 1 :])
                yield _with(node, args, node.children)
            elif node.children is not None:
                yield _with(node, node.args, tuple(self.nodes(node.children, all_names)))
            else:
                yield node

    def _value(self, node: Directive, values: tuple[Argument, ...]) -> Argument:
        first = values[0]
        if all(value.raw == first.raw for value in values):
            return first
        contents = [_content(value.raw) for value in values]
        lead, tail = _common(contents)
        entries = []
        for names_of_one, content in zip(self.names, contents, strict=True):
            middle = _quoted(content[len(lead) : len(content) - len(tail)])
            entries += [(MapKey(name), middle) for name in names_of_one]
        hint = "of_" + "_".join(
            word.decode(errors="replace")
            for word in (node.name, *node.values[: _VALUE_AT[node.name]])
        )
        variable = self.shared.hosts(hint, Var("host"), entries, Literal(""))
        return _quoted(lead + b"${" + variable.name.encode() + b"}" + tail)


def _with(
    node: Directive, args: tuple[Argument, ...], children: tuple[Node, ...] | None
) -> Directive:
    return Directive(name=node.name, args=args, children=children, name_raw=node.name_raw)


def _content(raw: bytes) -> bytes:
    """Returns a word as it stands within quotes, with its variables in braces."""
    if raw.startswith(b'"'):
        return raw[1:-1]
    if raw.startswith(b"$") and not raw.startswith(b"${"):
        return b"${" + raw[1:] + b"}"
    return raw


def _quoted(content: bytes) -> Argument:
    raw = b'"' + content + b'"'
    return Argument(raw, value_of(raw))


def _common(contents: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Returns the common beginning, up to a slash, and the common variables at the end."""
    first, last = min(contents), max(contents)
    length = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    lead = first[: first[:length].rfind(b"/") + 1]
    if b"$" in lead:
        lead = b""
    tail = b""
    while True:
        start = first.rfind(b"${", 0, len(first) - len(tail))
        longer = first[start:]
        ends = start >= len(lead) and first[: len(first) - len(tail)].endswith(b"}")
        shortest = min(map(len, contents))
        if not ends or len(lead) + len(longer) > shortest:
            return lead, tail
        if not all(content.endswith(longer) for content in contents):
            return lead, tail
        if longer.count(b"}") != longer.count(b"${"):
            return lead, tail
        tail = longer
