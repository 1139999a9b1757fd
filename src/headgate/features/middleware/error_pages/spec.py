"""`error_pages`: pages of one's own instead of the bodies of errors.

As with nginx's `error_page` and Traefik's `errors`, a page is chosen by the status of the answer.
"""

import re
from typing import Annotated, ClassVar, Final, cast

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema

from headgate.features import syntax
from headgate.features.base import MiddlewareOptions, Options
from headgate.features.statuses import ErrorStatuses, Range
from headgate.features.values import FILE_SCHEMA, Secrets, named_file
from headgate.kernel.errors import Invalid
from headgate.plan.middleware import MiddlewareNode, Shown
from headgate.plan.node import DefaultedNode

HTML: Final = "text/html; charset=utf-8"
_MOST_BYTES: Final = 64 * 1024
_TYPE: Final = re.compile(r"[!-.0-~]+/[!-~]+(?: *; *[!-~]+)*")


class PageNode(DefaultedNode, frozen=True, gc=False):
    """A page; the mirror of hg-middleware's `error_pages`. Ranges are first and last status."""

    statuses: tuple[Range, ...]
    body: str
    content_type: str = HTML


class ErrorPagesNode(MiddlewareNode, frozen=True):
    """The plan node."""

    pages: tuple[PageNode, ...]

    @property
    def is_of_whole_chain(self) -> bool:
        """Its pages are for the answers of every other middleware of the chain."""
        return True

    def shown(self) -> Shown:
        """Returns nothing: pages belong to answers that no explanation knows."""
        return Shown()


def _body(value: object, info: ValidationInfo) -> str:
    if isinstance(value, str):
        text = value
    elif (path := named_file(value)) is not None:
        text = cast(Secrets, info.context).text(path)
    else:
        raise Invalid(f"{syntax.described(value)} is not a page", 'write text, or { file = "…" }')
    if (size := len(text.encode())) > _MOST_BYTES:
        raise Invalid(f"the page has {size} bytes", f"write at most {_MOST_BYTES}")
    return text


def _type(value: object) -> str:
    if not isinstance(value, str) or not _TYPE.fullmatch(value):
        raise Invalid(f"{syntax.described(value)} is not a type", 'write one such as "text/html"')
    return value


Body = Annotated[
    str,
    PlainValidator(_body),
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": _MOST_BYTES}, FILE_SCHEMA]}),
]
ContentType = Annotated[str, PlainValidator(_type), WithJsonSchema({"type": "string"})]


class Page(Options):
    """A page, and the statuses that it is for."""

    statuses: Annotated[list[ErrorStatuses], Field(min_length=1, max_length=64)] = Field(
        description="The statuses that the page is for: numbers such as `404`, ranges such as "
        '`"500-503"`, and `"4xx"` or `"5xx"`.'
    )
    body: Body = Field(
        description="The text of the page, or a file with it, at most 64 KiB. `${status}`, "
        "`${reason}` and `${request_id}` are filled in; every other `$` stays as it is."
    )
    content_type: ContentType = Field(default=HTML, description="The page's `Content-Type`.")


class ErrorPages(MiddlewareOptions):
    """Answer errors with pages of one's own."""

    key: ClassVar[str] = "error_pages"
    summary: ClassVar[str] = "Answers errors with your own pages."
    node = ErrorPagesNode
    aliases = ("errors", "error_page", "handle_errors", "custom_errors")

    pages: Annotated[list[Page], Field(min_length=1, max_length=64)] = Field(
        description="The pages; for each status, the first page that lists it is used."
    )

    def to_plan(self) -> ErrorPagesNode:
        """Returns the plan node."""
        pages = [PageNode(tuple(p.statuses), p.body, p.content_type) for p in self.pages]
        return ErrorPagesNode(pages=tuple(pages))
