"""Null in YAML and JSON: a key that is not wanted is left out, in all three formats alike."""

from headgate.kernel.diagnostics import ConfigPath
from headgate.model.problems import Problem


def without_nulls(value: object, path: ConfigPath) -> tuple[object, tuple[Problem, ...]]:
    """The value without keys that are null, and a problem for each of them.

    A null anywhere else (the value itself, an item of a list) is left for what validates it.
    """
    found: list[Problem] = []

    def walk(node: object, at: ConfigPath) -> object:
        if isinstance(node, list):
            return [walk(item, (*at, index)) for index, item in enumerate(node)]
        if not isinstance(node, dict):
            return node
        kept: dict[object, object] = {}
        for key, item in node.items():
            if item is None:
                found.append(Problem((*at, str(key)), "the value is null", "leave the key out"))
            else:
                kept[key] = walk(item, (*at, str(key)))
        return kept

    return walk(value, path), tuple(found)
