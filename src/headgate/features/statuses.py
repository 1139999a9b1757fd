"""Statuses of answers as configs write them: one, a range, or a class."""

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from headgate.features import syntax
from headgate.kernel.errors import Invalid

Range = tuple[int, int]
"""First and last status."""

_ERRORS: Final = "45"
_ALL: Final = "12345"
_CLASS: Final = 100


def _one(classes: str) -> str:
    return f"[{classes}][0-9][0-9]"


def _parser(classes: str, what: str, allowed: str) -> Callable[[object], Range]:
    one = _one(classes)
    written = re.compile(rf"([{classes}])xx|({one})(?:-({one}))?")

    def parsed(value: object) -> Range:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        found = written.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise Invalid(f"{syntax.described(value)} is not {what}", allowed)
        kind, first, last = found.groups()
        if kind:
            return int(kind) * 100, int(kind) * 100 + 99
        if last and last < first:
            raise Invalid(f'"{text}" ends before it begins', allowed)
        return int(first), int(last or first)

    return parsed


def _schema(classes: str) -> dict[str, object]:
    one = _one(classes)
    return {
        "anyOf": [
            {"type": "integer", "minimum": int(classes[0]) * 100, "maximum": 599},
            {"type": "string", "pattern": f"^([{classes}]xx|{one}(-{one})?)$"},
        ]
    }


ErrorStatuses = Annotated[
    Range,
    PlainValidator(
        _parser(
            _ERRORS,
            "a status of errors",
            'write 404, "500-503" or "5xx"; errors are 400 to 599',
        )
    ),
    WithJsonSchema(_schema(_ERRORS)),
]
"""Statuses from 400 to 599."""

Statuses = Annotated[
    Range,
    PlainValidator(
        _parser(_ALL, "a status", 'write 200, "301-303" or "4xx"; statuses are 100 to 599')
    ),
    WithJsonSchema(_schema(_ALL)),
]
"""Statuses from 100 to 599."""


def expression(statuses: Range) -> str:
    """Returns a regular expression of the statuses, without anchors."""
    first, last = statuses
    if first % _CLASS == 0 and last == first + _CLASS - 1:
        return f"{first // _CLASS}.."
    return "|".join(map(str, range(first, last + 1)))
