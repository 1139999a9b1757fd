"""`response_headers`: edit the headers of the response."""

from typing import ClassVar

from headgate.features.base import MiddlewareOptions
from headgate.features.plain import HEADER_VALUE
from headgate.features.values import HeaderEdits
from headgate.plan.middleware import HeaderEdits as HeaderEditsNode


class ResponseHeaders(HeaderEdits, MiddlewareOptions):
    """Edit the headers of the response; in the order remove, set, add."""

    key: ClassVar[str] = "response_headers"
    summary: ClassVar[str] = "Sets, adds and removes headers of the response."
    node = HeaderEditsNode
    plain: ClassVar = {"set.*": HEADER_VALUE, "add.*": HEADER_VALUE}

    def to_plan(self) -> HeaderEditsNode:
        """Returns the edits' plan node."""
        return self.edits()
