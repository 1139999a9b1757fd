"""`response_headers`: edit the headers of the response."""

from typing import Annotated, ClassVar

from pydantic import Field

from headgate.features.base import MiddlewareOptions
from headgate.features.plain import HEADER_VALUE
from headgate.features.statuses import Statuses
from headgate.features.values import HeaderEdits
from headgate.plan.middleware import ResponseEdits


class ResponseHeaders(HeaderEdits, MiddlewareOptions):
    """Edit the headers of the response; in the order remove, set, add."""

    key: ClassVar[str] = "response_headers"
    summary: ClassVar[str] = "Sets, adds and removes headers of the response."
    node = ResponseEdits
    plain: ClassVar = {"set.*": HEADER_VALUE, "add.*": HEADER_VALUE}

    statuses: Annotated[list[Statuses], Field(min_length=1, max_length=64)] = Field(
        default_factory=list,
        description="Edit only responses with these statuses: numbers such as `304`, ranges such "
        'as `"301-303"`, and classes such as `"2xx"`. Absent = all responses. A route and its '
        "host may have 4 different lists together.",
    )

    def to_plan(self) -> ResponseEdits:
        """Returns the edits' plan node."""
        edits = self.edits()
        statuses = tuple(sorted(set(self.statuses)))
        return ResponseEdits(edits.set, edits.add, edits.remove, statuses)
