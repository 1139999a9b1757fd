"""`redirect`: answers with another URL; parts that are not given stay as in the request."""

from collections.abc import Iterator, Set
from typing import Annotated, ClassVar, Literal

from pydantic import Field, Strict

from headgate.features.base import MiddlewareOptions, excluding
from headgate.features.fields import FROM_ENV
from headgate.features.paths import PrefixPath
from headgate.features.plain import PATH, PREFIX, Plain
from headgate.features.templates import BareHostTemplate, PathTemplate, path_template
from headgate.kernel.errors import Invalid
from headgate.plan.middleware import Redirect as RedirectNode


class Redirect(MiddlewareOptions):
    """Answer with a redirect; parts that are not given stay as in the request."""

    key: ClassVar[str] = "redirect"
    summary: ClassVar[str] = "Answers with a redirect."
    node = RedirectNode
    plain: ClassVar = {"path": Plain(path_template, PATH.marker), "prefix": PREFIX}

    status: Literal[301, 302, 303, 307, 308] = Field(
        default=308,
        description="301, 302, 303, 307 or 308; 307 and 308 keep the method and the body.",
    )
    scheme: Literal["http", "https"] | None = Field(
        default=None,
        description="The new scheme; without `port` the target has the scheme's default port.",
    )
    host: BareHostTemplate | None = Field(
        default=None, description="The new host; may contain variables."
    )
    port: Annotated[int, Strict(), Field(ge=1, le=65_535), FROM_ENV] | None = Field(
        default=None, description="The new port."
    )
    path: PathTemplate | None = Field(
        default=None, description="The whole new path; may contain variables."
    )
    prefix: PrefixPath | None = Field(
        default=None, description="Replaces the prefix that the route matched."
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error unless the redirect leads elsewhere, in one way."""
        given = self.model_fields_set | wrong
        if {"path", "prefix"} <= given:
            yield excluding(["path", "prefix"], "write at most one of them")
        if not given - {"status"}:
            yield Invalid(
                "the redirect leads to where the request came from",
                'write at least one of "scheme", "host", "port", "path" or "prefix"',
            )

    def to_plan(self) -> RedirectNode:
        """Returns the redirect's plan node."""
        return RedirectNode(
            status=self.status,
            scheme=self.scheme,
            host=self.host,
            port=self.port,
            path=self.path,
            prefix=self.prefix,
        )
