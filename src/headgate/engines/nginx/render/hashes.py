"""Computes the sizes of nginx's hash tables from their content.

nginx warns, or refuses to start, when a table is too small for names that are long or many.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from headgate.nginxtext.tree import Directive, Node, walk
from headgate.nginxtext.writer import Word, directive

_ALIGN: Final = 64
_ENTRY: Final = 32
"""The most bytes of an entry in a bucket beside its name."""

_VARIABLES: Final = (b"map", b"geo", b"split_clients", b"set", b"auth_request_set")


def directives(files: Iterable[Iterable[Node]]) -> list[Node]:
    """Returns the `…_hash_…` directives for these files' content."""
    server_names: list[int] = [0]
    headers = 0
    every = [one for nodes in files for one in walk(tuple(nodes))]
    for one in every:
        match one.name:
            case b"server_name":
                server_names += [len(value) for value in one.values]
            case b"proxy_set_header" | b"proxy_hide_header":
                headers = max(headers, len(one.values[0]))
    return [
        *_sizes("server_names", len(server_names), max(server_names)),
        *_of_variables(every),
        *_sizes("proxy_headers", 256, headers),
    ]


def stream(nodes: Iterable[Node]) -> list[Node]:
    """Returns the same for the content of `stream`, which has no names and no headers."""
    return _of_variables(list(walk(tuple(nodes))))


def _of_variables(every: Sequence[Directive]) -> list[Node]:
    variables = keys = longest_key = longest_variable = 0
    for one in every:
        if one.name not in _VARIABLES:
            continue
        variables += 1
        longest_variable = max(longest_variable, *map(len, one.values))
        for line in one.directives():
            keys = max(keys, len(one.children or ()))
            longest_key = max(longest_key, len(line.name))
    return [
        *_sizes("map", keys, longest_key, kind="map_hash"),
        *_sizes("variables", 4 * variables + 512, longest_variable),
    ]


def _sizes(what: str, count: int, longest: int, *, kind: str = "") -> list[Node]:
    word = kind or f"{what}_hash"
    bucket = _power(max(longest + _ENTRY, _ALIGN))
    most = _power(max(count * 4, 1024))
    return [
        directive(f"{word}_max_size", Word(str(most))),
        directive(f"{word}_bucket_size", Word(str(bucket))),
    ]


def _power(number: int) -> int:
    power = _ALIGN
    while power < number:
        power *= 2
    return power
