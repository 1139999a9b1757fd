"""Null in YAML and JSON: a key that is not wanted is left out, in all three formats alike."""

from collections.abc import Iterator

from headgate.kernel.diagnostics import ConfigPath
from headgate.model.problems import Problem


def nulls(value: object, path: ConfigPath) -> tuple[Problem, ...]:
    """Returns a problem for each key whose value is null.

    A null anywhere else (the value itself, an item of a list) is left for what validates it.
    """
    return tuple(_walk(value, path))


def _walk(node: object, at: ConfigPath) -> Iterator[Problem]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _walk(item, (*at, index))
    elif isinstance(node, dict):
        for key, item in node.items():
            if item is None:
                yield Problem(
                    (*at, str(key)), "the value is null", "leave the key out, or write a value"
                )
            else:
                yield from _walk(item, (*at, str(key)))
