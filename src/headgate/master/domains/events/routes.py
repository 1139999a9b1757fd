"""The routes of events."""

from typing import Annotated, Literal

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.filters import By, Instant
from headgate.master.api.problems import invalid
from headgate.master.api.routing import Routes
from headgate.master.api.types import Window
from headgate.master.domains.events import store
from headgate.master.domains.events.store import Span
from headgate.master.domains.events.types import EventPage, Gap

ROUTES = Routes("events")
_MOST_DIGITS = 18


class EventWindow(Window):
    """The events that are asked for."""

    after: Annotated[int, Query(ge=0, lt=1 << 62, description="Only those that follow it.")] = 0
    type: Annotated[
        str,
        Query(
            max_length=64,
            description="Only `agents.serving`, for example, or with `agents` all of agents.",
        ),
    ] = ""
    object: Annotated[str, Query(max_length=500, description="Only those of the object.")] = ""
    actor: Annotated[By | None, Query(description="Only those of this actor (id).")] = None
    since: Annotated[Instant | None, Query(description="Only those from this time on.")] = None
    until: Annotated[Instant | None, Query(description="Only those from before this time.")] = None
    order: Annotated[Literal["oldest", "newest"], Query(description="Which come first.")] = "oldest"


def _number(window: EventWindow) -> int | None:
    text = window.reached()
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise invalid(
            "cursor", "this is not a cursor", "write `next` of the part before, or leave it out"
        )
    return int(text)


@ROUTES.get("/workspaces/{workspace}/events", Permission.EVENTS_READ)
async def list_events(
    call: Here, workspace: str, window: Annotated[EventWindow, Query()]
) -> EventPage:
    """Lists the events of a workspace by number; the newest 10,000 are kept."""
    cursor = _number(window)
    is_oldest = window.order == "oldest"
    after = window.after if cursor is None or not is_oldest else max(cursor, window.after)
    before = None if is_oldest else cursor
    about = (window.type, window.object, window.limit, window.actor)
    span = Span(after, before, *about, window.since, window.until)
    async with call.read() as tx:
        bounds = await store.bounds(tx)
        found = await store.listed(tx, span, window.order)
    items = found[: window.limit]
    is_more = len(found) > window.limit
    # In a list of the newest first, its first part tells.
    is_gone = 0 < after < bounds.oldest - 1 and (is_oldest or cursor is None)
    return EventPage(
        items=items,
        next=window.following(str(items[-1].seq)) if is_more else None,
        newest=bounds.newest,
        gap=Gap(first=after + 1, last=bounds.oldest - 1) if is_gone else None,
    )
