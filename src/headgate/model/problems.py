"""Pydantic's errors in our words: the config's path, what is wrong, what is allowed."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from headgate.features.fields import EnvText
from headgate.features.syntax import described
from headgate.kernel.diagnostics import ConfigPath, Severity
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed, nearest
from headgate.model import schema

Where = Literal["key", "value"]


class Problem(msgspec.Struct, frozen=True):
    """A diagnostic before its position is known: `path` is the whole path in the document.

    `where` says whether the key or the value at the path is at fault.
    """

    path: ConfigPath
    message: str
    allowed: str = ""
    where: Where = "value"
    severity: Severity = Severity.ERROR


def problems(base: ConfigPath, error: ValidationError) -> tuple[Problem, ...]:
    """What a validation of the value at `base` found, one problem per error."""
    return tuple(_problem(base, e) for e in error.errors(include_url=False))


def _problem(base: ConfigPath, error: ErrorDetails) -> Problem:
    path = (*base, *error["loc"])
    wrong = error.get("ctx", {}).get("error")
    if isinstance(wrong, Invalid) and wrong.at:
        path = (*path, wrong.at)
    if path[-1:] == ("[key]",):
        return Problem(path[:-1], *_words(path[:-1], error), where="key")
    return _SPECIAL.get(error["type"], _ordinary)(path, error)


def _ordinary(path: ConfigPath, error: ErrorDetails) -> Problem:
    return Problem(path, *_words(path, error))


def unknown_key(path: ConfigPath, known: Sequence[str]) -> Problem:
    """A key that is none of the known ones."""
    key = str(path[-1])
    near = nearest(key, known)
    hint = f'the nearest known one is "{near}"' if near else f"known here: {listed(known)}"
    return Problem(path, "unknown key", hint, where="key")


def _unknown(path: ConfigPath, error: ErrorDetails) -> Problem:
    return unknown_key(path, schema.known_keys(path[:-1]))


def _missing(path: ConfigPath, error: ErrorDetails) -> Problem:
    meaning = schema.description(path)
    return Problem(path[:-1], f'the key "{path[-1]}" is missing', meaning, where="key")


def _words(path: ConfigPath, error: ErrorDetails) -> tuple[str, str]:
    """What is wrong and what is allowed."""
    wrong = error.get("ctx", {}).get("error")
    if isinstance(wrong, Invalid):
        return _hidden(wrong.what, error["input"]), wrong.allowed
    kind = error["type"]
    value = _value(error["input"])
    for family, words in _FAMILIES.items():
        if kind.startswith(family):
            return words(path, value)
    return _hidden(error["msg"], error["input"]), ""


def _value(value: object) -> str:
    return "the value from the environment" if isinstance(value, EnvText) else described(value)


def _hidden(message: str, value: object) -> str:
    """The message without what came out of the environment: it may be a secret."""
    if isinstance(value, EnvText) and value:
        return message.replace(f'"{value}"', "the value from the environment").replace(value, "…")
    return message


def _choice(path: ConfigPath, value: str) -> tuple[str, str]:
    words = schema.choices(path)
    near = nearest(value.strip('"'), [word for word in words if isinstance(word, str)])
    hint = f'the nearest is "{near}"; ' if near and len(words) > 1 else ""
    shown = (f'"{word}"' if isinstance(word, str) else str(word) for word in words)
    return f"{value} is not known here", f"{hint}{listed(shown, quote=False)}"


def _range(path: ConfigPath, value: str) -> tuple[str, str]:
    least, most = schema.bounds(path)
    return f"{value} is out of range", f"a whole number from {least} to {most}"


def _wrong_type(noun: str, example: str) -> Callable[[ConfigPath, str], tuple[str, str]]:
    def words(path: ConfigPath, value: str) -> tuple[str, str]:
        return f"{value} is not {noun}", example

    return words


def _table(path: ConfigPath, value: str) -> tuple[str, str]:
    keys = schema.known_keys(path)
    return f"{value} is not a table", f"a table of {listed(keys)}" if keys else "a table of names"


def _too_short(path: ConfigPath, value: str) -> tuple[str, str]:
    return "the list is empty", "at least one item"


_SPECIAL: Final = {"extra_forbidden": _unknown, "missing": _missing}

_FAMILIES: Final[dict[str, Callable[[ConfigPath, str], tuple[str, str]]]] = {
    "literal": _choice,
    "enum": _choice,
    "greater_than": _range,
    "less_than": _range,
    "string": _wrong_type("text", "text in quotes"),
    "int": _wrong_type("a whole number", "a whole number without quotes"),
    "bool": _wrong_type("a truth value", "true or false, without quotes"),
    "list": _wrong_type("a list", "a list in [ ]"),
    "dict": _table,
    "model": _table,
    "too_short": _too_short,
}
