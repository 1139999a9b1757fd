"""The base types of bodies, answers and pages."""

import base64
import binascii
import contextlib
import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Final, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from sqlalchemy import Column
from starlette.responses import Response

from headgate.master.api.problems import invalid
from headgate.master.api.storable import wrong_with
from headgate.master.store.scope import Query as Statement
from headgate.master.store.transaction import Transaction

MOST: Final = 1_000
_USUAL = 100
_PAGING: Final = frozenset({"limit", "cursor"})
_STAMP: Final = "\0"
"""Divides the key of a cursor from the digest of the filters; no key holds it."""


class Body(BaseModel):
    """Data that a client sends; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False, frozen=True)


class View(BaseModel):
    """Data that the master answers with: a row, without what is secret."""

    model_config = ConfigDict(frozen=True)


class Versioned(View):
    """An object that counts its changes; its ETag begins with the count."""

    id: str
    version: int = Field(description="Counts the changes of the object; `If-Match` compares it.")


def rfc3339(ms: int) -> str:
    """Returns a time as text.

    >>> rfc3339(1_767_225_600_500)
    '2026-01-01T00:00:00.500Z'
    """
    moment = datetime.fromtimestamp(ms / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[
    int,
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A time: milliseconds inside, RFC 3339 outside."""

Name = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="1 to 63 lower-case letters, digits and hyphens.",
    ),
]

T = TypeVar("T", bound=BaseModel)


class Page(View, Generic[T]):
    """A part of a list."""

    items: list[T]
    next: str | None = Field(description="The cursor of the next part; null at the end.")


class JsonBytes(Response):
    """An answer that was written as JSON already: what a route with `body` may return."""

    media_type = "application/json"


class Window(Body):
    """The part of a list that is asked for. What a list adds are its filters; a cursor is bound to
    them."""

    limit: Annotated[int, Query(ge=1, le=MOST, description="How many at most.")] = _USUAL
    cursor: Annotated[
        str | None, Query(description="`next` of the part before, which had the same filters.")
    ] = None

    def reached(self) -> str | None:
        """Returns the key of the last object of the part before; raises ProblemError."""
        if self.cursor is None:
            return None
        with contextlib.suppress(binascii.Error, UnicodeError):
            text = base64.urlsafe_b64decode(self.cursor.encode("ascii")).decode()
            key, _, stamp = text.partition(_STAMP)
            if stamp != self._stamp():
                raise invalid(
                    "cursor",
                    "this cursor continues a list that has other filters",
                    "repeat the filters of the part before, or leave the cursor out",
                )
            if wrong_with(key) is None:
                return key
        raise invalid(
            "cursor", "this is not a cursor", "write `next` of the part before, or leave it out"
        )

    def following(self, key: str) -> str:
        """Returns the cursor that continues after the key, with these filters."""
        stamp = self._stamp()
        text = f"{key}{_STAMP}{stamp}" if stamp else key
        return base64.urlsafe_b64encode(text.encode()).decode()

    def _stamp(self) -> str:
        """Returns a digest of the filters; empty without any."""
        filters = self.model_dump(mode="json", exclude=set(_PAGING), exclude_defaults=True)
        if not filters:
            return ""
        return hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:16]


class OrganisationWindow(Window):
    """The part of a list of an organisation that is asked for."""

    organisation: Annotated[
        str | None,
        Query(description="Its name or id; it may be left out by those who belong to only one."),
    ] = None


def part(
    query: Statement, key: Column[str], window: Window, *, is_newest_first: bool = False
) -> Statement:
    """Returns the query of a part of the query's rows, and of one more if there is one."""
    reached = window.reached()
    if reached is not None:
        query = query.where(key < reached if is_newest_first else key > reached)
    return query.order_by(key.desc() if is_newest_first else key).limit(window.limit + 1)


async def paged(
    tx: Transaction,
    view: type[T],
    query: Statement,
    key: Column[str],
    window: Window,
    *,
    is_newest_first: bool = False,
) -> Page[T]:
    """Returns a part of the query's rows in the order of `key`, which is unique in them; an id as
    the key grows with time."""
    rows = await tx.all(view, part(query, key, window, is_newest_first=is_newest_first))
    more = len(rows) > window.limit
    items = rows[: window.limit]
    last = getattr(items[-1], key.name) if more else None
    return Page[view](items=items, next=window.following(last) if last else None)  # type: ignore[valid-type]


Read = Callable[[Transaction], Awaitable[T]]
