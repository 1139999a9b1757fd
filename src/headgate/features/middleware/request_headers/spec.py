"""`request_headers`: edit the headers of the request."""

from typing import ClassVar

from pydantic import model_validator

from headgate.features.base import MiddlewareOptions
from headgate.features.values import HeaderEdits
from headgate.kernel.errors import Invalid
from headgate.plan.middleware import HeaderEdits as HeaderEditsNode


class RequestHeaders(HeaderEdits, MiddlewareOptions):
    """Edit the headers of the request; in the order remove, set, add."""

    key: ClassVar[str] = "request_headers"
    summary: ClassVar[str] = "Sets, adds and removes headers of the request."

    @model_validator(mode="after")
    def _leaves_host(self) -> "RequestHeaders":
        for at, names in (("set", self.set), ("add", self.add), ("remove", self.remove)):
            if "host" in names:
                allowed = "`rewrite = { host = … }`, or the upstream's `host_header`"
                raise Invalid('"host" is not edited as a header', allowed, at=at)
        return self

    def to_plan(self) -> HeaderEditsNode:
        """The edits' plan node."""
        return self.edits()
