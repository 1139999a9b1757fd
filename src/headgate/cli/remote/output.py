"""Writes objects of a master as a table, as JSON, or as YAML."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec
import typer

from headgate.cli.output import as_json, escaped

_PLAIN: Final = re.compile(r"[A-Za-z_/][A-Za-z0-9_./ -]*[A-Za-z0-9_./-]|[A-Za-z_/]")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


class Shape(StrEnum):
    """The values of `--output`."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[
    Shape, typer.Option("--output", "-o", help="The format of the output.", case_sensitive=False)
]


def show_list(items: Sequence[Mapping[str, object]], columns: Sequence[str], output: Shape) -> None:
    """Prints a list: as a table of these columns, or whole."""
    if output is Shape.TABLE:
        sys.stdout.write(table(items, columns))
    else:
        _whole(list(items), output)


def show_object(item: Mapping[str, object], output: Shape) -> None:
    """Prints one object: as lines of `name: value`, or whole."""
    if output is Shape.TABLE:
        sys.stdout.write(yaml({key: value for key, value in item.items() if key != "etag"}))
    else:
        _whole(item, output)


def table(items: Iterable[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Returns a table: the names of the columns in upper case, and a line for each item."""
    rows = [[column.rpartition(".")[2].upper().replace("_", " ") for column in columns]]
    rows += [[_cell(_field(item, column)) for column in columns] for item in items]
    widths = [max(len(row[index]) for row in rows) for index in range(len(columns))]
    lines = (
        "   ".join(cell.ljust(widths[index]) for index, cell in enumerate(row)).rstrip()
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def yaml(value: object) -> str:
    """Returns YAML; texts that YAML would read as something else are quoted.

    >>> yaml({"name": "api", "hosts": ["a.test", "*"], "is_on": True})
    'name: api\\nhosts:\\n- a.test\\n- "*"\\nis_on: true\\n'
    """
    return "".join(f"{line}\n" for line in _yaml_lines(value))


def _whole(value: object, output: Shape) -> None:
    if output is Shape.YAML:
        sys.stdout.write(yaml(value))
    else:
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        sys.stdout.write(f"{escaped(text)}\n")


def _field(item: Mapping[str, object], column: str) -> object:
    """Returns a field of an item; `facts.program` is one of a field."""
    found: object = item
    for name in column.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _cell(value: object) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_cell(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ",".join(_cell(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    # A control character from a master must not reach the terminal.
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))


def _yaml_lines(value: object) -> list[str]:
    if isinstance(value, Mapping) and value:
        lines = []
        for key, one in value.items():
            name = _yaml_scalar(str(key))
            lines += _yaml_entry(f"{name}:", one, indent="" if isinstance(one, list) else "  ")
        return lines
    if isinstance(value, list) and value:
        return [line for one in value for line in _yaml_item(one)]
    return [_yaml_scalar(value)]


def _yaml_entry(head: str, value: object, indent: str) -> list[str]:
    if isinstance(value, Mapping | list) and value:
        return [head, *(indent + line for line in _yaml_lines(value))]
    return [f"{head} {_yaml_scalar(value)}"]


def _yaml_item(value: object) -> list[str]:
    first, *rest = _yaml_lines(value)
    return [f"- {first}", *(f"  {line}" for line in rest)]


def _yaml_scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    if isinstance(value, float) and "e" in (text := repr(value)) and "." not in text:
        # YAML 1.1 reads a number with an exponent and no point as a text.
        return text.replace("e", ".0e")
    if isinstance(value, float):
        return repr(value)
    return as_json(value)
