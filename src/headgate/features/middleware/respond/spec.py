"""`respond`: answer by ourselves."""

from collections.abc import Iterator, Set
from typing import Annotated, ClassVar, Final

from pydantic import Field, Strict

from headgate.features.base import MiddlewareOptions
from headgate.features.fields import FROM_ENV
from headgate.features.plain import HEADER_VALUE, Plain
from headgate.features.templates import Template, template
from headgate.features.values import HeaderMap
from headgate.kernel.errors import Invalid
from headgate.plan.middleware import Respond as RespondNode

_BODILESS: Final = (204, 205, 304)
"""Statuses whose answers have no body (RFC 9110 §15.3.5, §15.3.6, §15.4.5)."""


class Respond(MiddlewareOptions):
    """Answer without asking an upstream."""

    key: ClassVar[str] = "respond"
    summary: ClassVar[str] = "Answers without asking an upstream."
    node = RespondNode
    plain: ClassVar = {"headers.*": HEADER_VALUE, "body": Plain(template, default="")}

    status: Annotated[int, Strict(), Field(ge=200, le=599), FROM_ENV] = Field(
        default=200, description="The status of the response, 200 to 599."
    )
    body: Template = Field(
        default="",
        description="The body; its type is `text/plain; charset=utf-8` unless `headers` sets "
        "another.",
    )
    headers: HeaderMap = Field(
        default_factory=dict, description="Headers of the response; values may contain variables."
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for a body with a status that has none."""
        if (self.body or "body" in wrong) and self.status in _BODILESS:
            yield Invalid(
                f"an answer of status {self.status} has no body",
                "write another status, or leave `body` out",
                at=("body",),
            )

    def to_plan(self) -> RespondNode:
        """Returns the answer's plan node."""
        return RespondNode(status=self.status, body=self.body, headers=self.headers)
