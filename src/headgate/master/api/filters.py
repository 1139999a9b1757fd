"""The filters that lists share: their types, as a request writes them, and their conditions.

A list declares its filters as fields of its own `Window`; the gate refuses all others, and the
OpenAPI page shows them.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError
from sqlalchemy import Column, func
from sqlalchemy.sql.elements import ColumnElement

from headgate.master.ids import oldest_id

Condition = ColumnElement[bool]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: Final = "a time of RFC 3339 with its offset, such as 2026-03-02T09:30:00Z"


def _milliseconds(value: object) -> int:
    """Returns the milliseconds since 1970 (UTC) of a text.

    >>> _milliseconds("1970-01-01T01:00:00.5+01:00")
    500
    """
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PydanticCustomError("time", "this is not a time", {"expected": _TIME})
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000 + passed.microseconds // 1_000


Instant = Annotated[
    int,
    BeforeValidator(_milliseconds),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time in a query: RFC 3339 outside, milliseconds inside."""
Prefix = Annotated[
    str | None,
    Field(min_length=1, max_length=200, description="Only those whose name begins so."),
]
By = Annotated[str, Field(min_length=1, max_length=200)]
"""An id, or a name where the list has names."""
InFleet = Annotated[
    str | None,
    Field(min_length=1, max_length=63, description="Only those of this fleet (id or name)."),
]
Label = Annotated[
    str, Field(pattern=r"^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?=[A-Za-z0-9._-]{0,63}$")
]
HasLabels = Annotated[
    list[Label],
    Field(
        max_length=8,
        description="Only those with the label NAME=VALUE; given more than once: with all of them.",
    ),
]


def equals(*wanted: tuple[Column[str], str | None]) -> list[Condition]:
    """Returns a condition for each column whose value is asked for."""
    return [column == value for column, value in wanted if value is not None]


def begins(column: Column[str], prefix: str | None) -> list[Condition]:
    """Returns the conditions that a text begins so. By `LIKE`, PostgreSQL knows how many rows that
    are; the other one tells upper case from lower case, as `LIKE` does not in SQLite."""
    if prefix is None:
        return []
    head = func.substr(column, 1, len(prefix))
    return [column.startswith(prefix, autoescape=True), _holds(head, prefix)]


def labelled(column: Column[str], wanted: Sequence[str]) -> list[Condition]:
    """Returns the conditions that labels, which are kept as JSON, have each of these."""
    pairs = (one.partition("=") for one in wanted)
    return [_holds(column, _pair(name, value)) for name, _, value in pairs]


def chosen(column: Column[str], labels: Mapping[str, str]) -> Condition:
    """Returns the condition that a fleet with these labels has every label of the column's JSON:
    nothing stays of it if those of the fleet are taken out."""
    rest: ColumnElement[str] = func.replace(column, ", ", "")
    for name, value in sorted(labels.items()):
        rest = func.replace(rest, _pair(name, value), "")
    return _holds(rest, "{}")


def between(key: Column[str], since: int | None, until: int | None) -> list[Condition]:
    """Returns the conditions that ids were made in this time, `until` excluded; they are in the
    order of an index, as ids begin with their time."""
    found: list[Condition] = []
    if since is not None:
        found.append(key >= oldest_id(_kept(since)))
    if until is not None:
        found.append(key < oldest_id(_kept(until)))
    return found


def _kept(at_ms: int) -> int:
    """Returns a time that an id can have."""
    return min(max(at_ms, 0), (1 << 48) - 1)


def _holds(text: ColumnElement[str], part: str) -> Condition:
    """Returns the condition that a text holds a part, in that case. PostgreSQL takes an inequality
    for one that most rows fulfil, so it goes on to read them in the order of the list's index;
    after an equality with what it has no statistics of, it would read and sort the whole table."""
    return func.replace(text, part, "") != text


def _pair(name: str, value: str) -> str:
    """Returns a label as JSON has it; neither part holds what JSON escapes."""
    return f'"{name}": "{value}"'
