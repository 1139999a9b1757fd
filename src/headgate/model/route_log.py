"""`access_log` of a route: the requests that are in the log."""

from collections.abc import Iterator, Set
from typing import Annotated

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, PlainValidator, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from headgate.features.base import Checked
from headgate.features.fields import DurationText, number, truth
from headgate.features.statuses import Range, Statuses
from headgate.features.syntax import described
from headgate.kernel.errors import Invalid
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM

_ALL = 100
_ERRORS: Range = (500, 599)
_SHARE_SCHEMA: JsonSchemaValue = {
    "anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 1, "maximum": _ALL}]
}


def _share(value: object) -> int | None:
    """Returns a percentage from one, or from true or false; None for anything else."""
    found = number(truth(value))
    if isinstance(found, bool):
        return _ALL if found else 0
    return found if isinstance(found, int) and 0 < found <= _ALL else None


def _percentage(value: object) -> int:
    found = _share(value)
    if found is None:
        raise Invalid(
            f"{described(value)} is not a share of the requests",
            "write true, false, or a percentage from 1 to 100",
        )
    return found


Share = Annotated[int, PlainValidator(_percentage), WithJsonSchema(_SHARE_SCHEMA)]


class RouteLog(Checked):
    """The requests of a route that are in the access log."""

    share: Share = Field(
        default=0,
        description="The percentage of the requests that is logged whatever their result, 1 to "
        "100; `false` = none.",
    )
    statuses: Annotated[list[Statuses], Field(max_length=64), ONE_OR_MORE, OR_ITEM] | None = Field(
        default=None,
        description="Every request with one of these statuses is logged: numbers such as `429`, "
        'ranges such as `"400-403"`, and classes such as `"4xx"`. Absent = `["5xx"]`; `[]` = none.',
    )
    slower_than: DurationText | None = Field(
        default=None, description="Every request that takes at least this long is logged."
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error if all requests are logged and others are chosen besides."""
        chosen = {"statuses", "slower_than"} & (self.model_fields_set | wrong)
        if self.share == _ALL and chosen and "share" not in wrong:
            yield Invalid(
                "every request is logged, so that nothing is left to choose",
                "leave `share` out, or write a smaller one",
                at=("share",),
            )

    @property
    def logged_statuses(self) -> tuple[Range, ...]:
        """The statuses of which every request is logged."""
        return (_ERRORS,) if self.statuses is None else tuple(sorted(set(self.statuses)))

    @property
    def slower_ms(self) -> int | None:
        """The time in milliseconds from which every request is logged."""
        return None if self.slower_than is None else self.slower_than.ms


def _read(value: object) -> object:
    """Returns the table that a share stands for."""
    if isinstance(value, dict):
        return value
    share = _share(value)
    if share is None:
        raise Invalid(
            f"{described(value)} is not a share of the requests",
            "write true, false, a percentage from 1 to 100, or a table such as "
            '{ statuses = ["4xx", "5xx"], slower_than = "1s" }',
        )
    return {"share": share} if share else {"share": False, "statuses": []}


class _OrShare:
    """Adds the share alone to the JSON Schema."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [*_SHARE_SCHEMA["anyOf"], handler(schema)]}


RouteAccessLog = Annotated[RouteLog, BeforeValidator(_read), _OrShare()]
"""A table, or its share alone; `false` logs nothing, not even errors."""

EVERYTHING = RouteLog(share=_ALL)
"""The default: every request is in the log."""
