"""Entries that are no named object: unknown sections, sections that are no table, `include`."""

from headgate.features.syntax import described
from headgate.model.config import SECTIONS, TOP_LEVEL
from headgate.model.node import Node
from headgate.model.problems import Problem, unknown_key


def stray(section: str, value: object) -> tuple[Problem, ...]:
    """What is wrong with a top-level key that holds no named objects."""
    if section == "include":
        return _include(value)
    if section in Node.model_fields:
        return (Problem((section,), "unknown key", "it belongs under [node]", "key"),)
    if section not in TOP_LEVEL:
        return (unknown_key((section,), TOP_LEVEL),)
    if value == {} or value is None:
        return ()
    what = f"{described(value)} is not a table"
    if section in SECTIONS:
        allowed = f"one table per {SECTIONS[section].noun}: [{section}.NAME]"
    else:
        allowed = f"a table: [{section}]"
    return (Problem((section,), what, allowed),)


def _include(value: object) -> tuple[Problem, ...]:
    allowed = 'a list of paths, such as ["conf.d/*.toml"]'
    if not isinstance(value, list):
        return (Problem(("include",), f"{described(value)} is not a list", allowed),)
    return tuple(
        Problem(("include", index), f"{described(item)} is not a path", allowed)
        for index, item in enumerate(value)
        if not isinstance(item, str)
    )
