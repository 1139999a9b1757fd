"""Makes objects of our config: plain TOML values, validated by the model."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

import msgspec
from pydantic import ValidationError

from headgate.model.config import SECTIONS

Toml = str | int | bool | Sequence["Toml"] | Mapping[str, "Toml"]
Table = Mapping[str, Toml]
T = TypeVar("T")

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_WIDTH: Final = 100


class ModelObject(msgspec.Struct, frozen=True):
    """One entry of a section: `section` is its key (`routes`), `table` its TOML values."""

    section: str
    name: str
    table: Table

    @property
    def path(self) -> str:
        """`routes.shop`."""
        return object_path(self.section, self.name)


def object_path(section: str, name: str) -> str:
    """Returns an object's name in reports: `routes."a.example"`."""
    return f"{section}.{_key(name)}"


def is_refusal(one: ModelObject) -> bool:
    """Reports whether it is a route that refuses what was not imported."""
    return one.section == "routes" and "not_imported" in one.table


class NotExpressibleError(Exception):
    """Our model cannot express something; the message says what."""


def collected(whys: list[str], part: Callable[[], T]) -> T | None:
    """Returns the result of a part of the work;
    None, noting the error, on `NotExpressibleError`.
    """
    try:
        return part()
    except NotExpressibleError as error:
        whys.append(str(error))
        return None


def by_section(objects: Iterable[ModelObject]) -> tuple[ModelObject, ...]:
    """Returns objects with those of a section together: sections in the order that they begin."""
    found: dict[str, list[ModelObject]] = {}
    for one in objects:
        found.setdefault(one.section, []).append(one)
    return tuple(one for section in found.values() for one in section)


def validated(one: ModelObject) -> ModelObject:
    """Returns the object as it is; raises `NotExpressibleError` with the model's errors."""
    section = SECTIONS[one.section]
    try:
        section.name(one.name)
        section.validate(dict(one.table))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotExpressibleError(f"{one.section}: {where}: {first['msg']}") from None
    except ValueError as error:
        raise NotExpressibleError(f"{one.section}: {error}") from None
    return one


def table_in(table: Table, key: str) -> Table:
    """Returns the table below a key; an empty one where there is none."""
    found = table.get(key, {})
    if not isinstance(found, Mapping):
        raise TypeError(f"{key} is not a table")
    return found


def items_in(table: Table, key: str) -> Sequence[Toml]:
    """Returns the list below a key; an empty one where there is none."""
    found = table.get(key, ())
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise TypeError(f"{key} is not a list")
    return found


def to_toml(objects: Iterable[ModelObject]) -> str:
    """Returns the document of these objects, in their order; no objects give an empty text."""
    return "\n".join(_section(one) for one in objects)


def _section(one: ModelObject) -> str:
    lines = [f"[{one.path}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in one.table.items()]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Returns a text as TOML's basic string."""
    return _text(text)


def _key(text: str) -> str:
    return text if _BARE_KEY.fullmatch(text) else _text(text)


def _text(text: str) -> str:
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_ESCAPES.get(c) or _plain(c) for c in text) + '"'


def _plain(char: str) -> str:
    return char if char.isprintable() else f"\\U{ord(char):08X}"


def _value(value: Toml) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    items = [_value(item) for item in value]
    line = "[" + ", ".join(items) + "]"
    return line if len(line) < _WIDTH else "[\n    " + ",\n    ".join(items) + ",\n]"
