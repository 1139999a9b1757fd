"""Checks entries other than named objects:
unknown sections, sections of a wrong type, `include`.
"""

from headgate.features.syntax import described
from headgate.kernel.nearest import nearest
from headgate.model.absent import feature
from headgate.model.config import NAME_ALLOWED, SECTIONS, TOP_LEVEL
from headgate.model.node import Node
from headgate.model.problems import Problem, unknown_key


def stray(section: str, value: object, *, is_named_empty: bool = False) -> tuple[Problem, ...]:
    """Returns what is wrong with a top-level key that holds no named objects.

    `is_named_empty`: the value does not stand for the whole section, but for its entry "".
    """
    if section == "include":
        return _include(value)
    if section in Node.model_fields:
        return (Problem((section,), "the key is unknown", "it belongs in [node]", "key"),)
    if section not in TOP_LEVEL:
        return (_unknown_section(section),)
    if is_named_empty:
        return (_named_empty(section),)
    return () if value == {} or value is None else (_no_table(section, value),)


def _named_empty(section: str) -> Problem:
    if section not in SECTIONS:
        return unknown_key((section, ""), tuple(Node.model_fields))
    return Problem((section, ""), '"" is not a name', NAME_ALLOWED, "key")


def _no_table(section: str, value: object) -> Problem:
    what = f"{described(value)} is not a table"
    if section in SECTIONS:
        allowed = f"write one table per {SECTIONS[section].noun}: [{section}.NAME]"
    else:
        allowed = f"write a table: [{section}]"
    return Problem((section,), what, allowed)


def meant(section: str) -> str | None:
    """Returns the section of named objects that an unknown one is a misspelling of."""
    return None if section in TOP_LEVEL else nearest(section, SECTIONS)


def _unknown_section(section: str) -> Problem:
    near = nearest(section, Node.model_fields)
    if near and not nearest(section, TOP_LEVEL) and feature(section) is None:
        return Problem((section,), "the key is unknown", f'write "{near}" in [node]', "key")
    return unknown_key((section,), TOP_LEVEL)


def _include(value: object) -> tuple[Problem, ...]:
    allowed = 'write a list of paths, such as ["conf.d/*.toml"]'
    if not isinstance(value, list):
        return (Problem(("include",), f"{described(value)} is not a list", allowed),)
    return tuple(
        Problem(("include", index), f"{described(item)} is not a path", allowed)
        for index, item in enumerate(value)
        if not isinstance(item, str)
    )
