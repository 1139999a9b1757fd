"""`request_headers`: edit the headers of the request."""

from typing import ClassVar

from headgate.features.base import MiddlewareOptions
from headgate.features.values import HeaderEdits
from headgate.plan.middleware import HeaderEdits as HeaderEditsNode


class RequestHeaders(HeaderEdits, MiddlewareOptions):
    """Edit the headers of the request; in the order remove, set, add."""

    key: ClassVar[str] = "request_headers"
    summary: ClassVar[str] = "Sets, adds and removes headers of the request."

    def to_plan(self) -> HeaderEditsNode:
        """The edits' plan node."""
        return self.edits()
