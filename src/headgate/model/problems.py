"""Turns Pydantic's errors into our messages: the config's path, what is wrong, what to write."""

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
from headgate.model import absent as absences
from headgate.model import schema
from headgate.model.config import TOP_LEVEL

_TLS_VERSIONS: Final = frozenset({"1.2", "1.3"})

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
    """Returns the errors of a validation of the value at `base`, one problem for each."""
    errors = error.errors(include_url=False)
    meant = {
        (*table, nearest(str(key), schema.known_keys((*base, *table))))
        for *table, key in (e["loc"] for e in errors if e["type"] == "extra_forbidden")
    }
    # If a key is missing because it is misspelled, only the misspelling is reported.
    return tuple(
        _problem(base, e) for e in errors if e["type"] != "missing" or e["loc"] not in meant
    )


def besides(found: Sequence[Problem], before: Sequence[Problem]) -> tuple[Problem, ...]:
    """Returns the problems at and below places without an earlier one:
    one mistake is reported once.

    A text in place of a list stands for the list's first item, which is below the text's place.
    """
    places = {problem.path for problem in before}
    return tuple(
        problem
        for problem in found
        if not any(problem.path[:end] in places for end in range(1, len(problem.path) + 1))
    )


def _problem(base: ConfigPath, error: ErrorDetails) -> Problem:
    path = (*base, *error["loc"])
    wrong = error.get("ctx", {}).get("error")
    if isinstance(wrong, Invalid):
        path = (*path, *wrong.at)
    if path[-1:] == ("[key]",):
        return Problem(path[:-1], *_words(path[:-1], error), where="key")
    return _SPECIAL.get(error["type"], _ordinary)(path, error)


def _ordinary(path: ConfigPath, error: ErrorDetails) -> Problem:
    return Problem(path, *_words(path, error))


def unknown_key(path: ConfigPath, known: Sequence[str]) -> Problem:
    """Returns the problem of an unknown key.

    The hint is the first that fits: a feature that this version lacks, a misspelled key of this
    table, a key of another table.
    """
    key = str(path[-1])
    if absent := absences.feature(key):
        return Problem(path, f"the key is unknown: {absent[0]}", absent[1], where="key")
    if near := nearest(key, known):
        hint = f'write "{near}"'
    elif len(path) > 1 and key in TOP_LEVEL:
        hint = "it belongs at the top of the document, before its tables"
    elif tables := schema.tables_with(key, path[:-1]):
        hint = f"it belongs in {listed(tables, quote=False)}"
    else:
        hint = f"write one of {listed(known)}" if known else "leave it out"
    return Problem(path, "the key is unknown", hint, where="key")


def _unknown(path: ConfigPath, error: ErrorDetails) -> Problem:
    return unknown_key(path, schema.known_keys(path[:-1]))


def _missing(path: ConfigPath, error: ErrorDetails) -> Problem:
    meaning = schema.description(path)
    allowed = f"add it: {meaning}" if meaning else "add it"
    return Problem(path[:-1], f'the key "{path[-1]}" is missing', allowed, where="key")


def _words(path: ConfigPath, error: ErrorDetails) -> tuple[str, str]:
    """Returns the two halves of a message: what is wrong, and what is allowed."""
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
    """Returns the message without values from the environment, which may be secrets."""
    if isinstance(value, EnvText) and value:
        return message.replace(f'"{value}"', "the value from the environment").replace(value, "…")
    return message


def _choice(path: ConfigPath, value: str) -> tuple[str, str]:
    words = schema.choices(path)
    texts = [word for word in words if isinstance(word, str)]
    word = value.strip('"')
    shown = [f'"{word}"' if isinstance(word, str) else str(word) for word in words]
    known = f"write {listed(shown, quote=False)}"
    if word in texts:  # a number in place of a text, for example YAML's `1.2`
        return f"{value} is not text", f'write "{word}", in quotes'
    if set(texts) <= _TLS_VERSIONS and (old := absences.protocol_version(word)):
        return old, known
    if absent := absences.feature(word):
        return f"{value} is not allowed: {absent[0]}", known
    near = nearest(word, texts)
    return f"{value} is not allowed here", f'write "{near}"' if near else known


def _range(path: ConfigPath, value: str) -> tuple[str, str]:
    least, most = schema.bounds(path)
    return f"{value} is out of range", f"write a whole number from {least} to {most}"


def _wrong_type(noun: str, example: str) -> Callable[[ConfigPath, str], tuple[str, str]]:
    def words(path: ConfigPath, value: str) -> tuple[str, str]:
        return f"{value} is not {noun}", example

    return words


def _table(path: ConfigPath, value: str) -> tuple[str, str]:
    keys = schema.known_keys(path)
    return (
        f"{value} is not a table",
        f"write a table of {listed(keys)}" if keys else "write a table",
    )


def _too_short(path: ConfigPath, value: str) -> tuple[str, str]:
    return "the list is empty", "write at least one item"


def _too_long(path: ConfigPath, value: str) -> tuple[str, str]:
    most = next((one["maxItems"] for one in schema.at(path) if "maxItems" in one), None)
    return "the list is too long", f"write at most {most} items"


_SPECIAL: Final = {"extra_forbidden": _unknown, "missing": _missing}

_FAMILIES: Final[dict[str, Callable[[ConfigPath, str], tuple[str, str]]]] = {
    "literal": _choice,
    "enum": _choice,
    "greater_than": _range,
    "less_than": _range,
    "string": _wrong_type("text", "write text in quotes"),
    "int": _wrong_type("a whole number", "write a whole number without quotes"),
    "bool": _wrong_type("a boolean", "write true or false, without quotes"),
    "list": _wrong_type("a list", "write a list in [ ]"),
    "dict": _table,
    "model": _table,
    "too_short": _too_short,
    "too_long": _too_long,
}
