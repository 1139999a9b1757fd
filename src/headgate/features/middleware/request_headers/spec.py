"""`request_headers`: edit the headers of the request."""

from collections.abc import Iterator, Set
from typing import ClassVar, Final

from headgate.features.base import MiddlewareOptions
from headgate.features.plain import HEADER_VALUE
from headgate.features.values import HeaderEdits
from headgate.kernel.errors import Invalid
from headgate.plan.middleware import HeaderEdits as HeaderEditsNode

_HOST_ALLOWED: Final = "write `rewrite = { host = … }`, or the upstream's `host_header`"


class RequestHeaders(HeaderEdits, MiddlewareOptions):
    """Edit the headers of the request; in the order remove, set, add."""

    key: ClassVar[str] = "request_headers"
    summary: ClassVar[str] = "Sets, adds and removes headers of the request."
    node = HeaderEditsNode
    plain: ClassVar = {"set.*": HEADER_VALUE, "add.*": HEADER_VALUE}

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for Host, which another middleware changes."""
        for at, names in (("set", self.set), ("add", self.add), ("remove", self.remove)):
            if "host" in names:
                key = names.index("host") if isinstance(names, list) else "host"
                yield Invalid('"host" is not edited as a header', _HOST_ALLOWED, at=(at, key))

    def to_plan(self) -> HeaderEditsNode:
        """Returns the edits' plan node."""
        return self.edits()
