"""The rows of events. Each is added in the transaction of what it tells, so none is ever lost or
told too early; a counter row makes their numbers follow each other in the order of commits."""

import json
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from sqlalchemy import BigInteger, Column, String, Text, UniqueConstraint, delete, update

from headgate.master.api.filters import equals
from headgate.master.domains.events.types import Bounds, News, WorkspaceEvent
from headgate.master.ids import new_id
from headgate.master.store.schema import Tenancy, id_column, table, time_column
from headgate.master.store.transaction import Transaction, columns_of

EVENTS: Final = table(
    "events",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("type", String(64), nullable=False),
    Column("object", Text, nullable=False),
    Column("actor", String(64), nullable=False),
    time_column("at"),
    Column("detail", Text, nullable=True),
    UniqueConstraint("workspace_id", "seq"),
)
COUNTERS: Final = table(
    "event_counters",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    Column("newest", BigInteger, nullable=False),
    Column("oldest", BigInteger, nullable=False),
    UniqueConstraint("workspace_id"),
)

KEPT: Final = 10_000
_PRUNED_EVERY = 500


class Span(NamedTuple):
    """The events that are asked for; empty texts and None stand for any."""

    after: int
    before: int | None
    type: str
    object: str
    most: int
    actor: str | None
    since: int | None
    until: int | None


async def append(tx: Transaction, kind: str, subject: str, actor: str, now_ms: int) -> None:
    """Adds an event of the scope's workspace; other writers of it wait until this one ends."""
    await append_all(tx, [News(type=kind, object=subject, actor=actor)], now_ms)


async def append_all(tx: Transaction, news: Sequence[News], now_ms: int) -> None:
    """Adds events of the scope's workspace, in their order; see `append`."""
    if not news:
        return
    count = update(COUNTERS).values(newest=COUNTERS.c.newest + len(news))
    if not await tx.change(count):  # also for several first writers at once
        await tx.insert_absent(COUNTERS, id=new_id(now_ms), newest=0, oldest=1)
        await tx.change(count)
    newest = (await bounds(tx)).newest
    first = newest - len(news) + 1
    rows = [_row(one, first + place, now_ms) for place, one in enumerate(news)]
    await tx.insert_all(EVENTS, rows)
    if newest // _PRUNED_EVERY != (first - 1) // _PRUNED_EVERY and newest > KEPT:
        oldest = newest - KEPT + 1
        await tx.change(delete(EVENTS).where(EVENTS.c.seq < oldest))
        await tx.change(update(COUNTERS).values(oldest=oldest))


def _row(one: News, seq: int, now_ms: int) -> dict[str, object]:
    detail = None if one.detail is None else json.dumps(one.detail)
    values = one.model_dump(exclude={"detail"})
    return {"id": new_id(now_ms), "seq": seq, "at": now_ms, "detail": detail, **values}


async def bounds(tx: Transaction) -> Bounds:
    """Returns which events of the workspace are still there; 1 and 0 before the first."""
    found = await tx.find(Bounds, COUNTERS)
    return found or Bounds(oldest=1, newest=0)


async def after(tx: Transaction, seq: int, most: int) -> list[WorkspaceEvent]:
    """Returns the events that follow a number, in their order."""
    query = columns_of(EVENTS, WorkspaceEvent).where(EVENTS.c.seq > seq)
    return await tx.all(WorkspaceEvent, query.order_by(EVENTS.c.seq).limit(most))


async def listed(
    tx: Transaction, window: Span, order: Literal["oldest", "newest"]
) -> list[WorkspaceEvent]:
    """Returns events of the scope between two numbers (both excluded), one more than asked for."""
    query = columns_of(EVENTS, WorkspaceEvent).where(EVENTS.c.seq > window.after)
    if window.before is not None:
        query = query.where(EVENTS.c.seq < window.before)
    if window.type:
        kinds = EVENTS.c.type
        query = query.where(
            (kinds == window.type) | kinds.startswith(f"{window.type}.", autoescape=True)
        )
    if window.object:
        query = query.where(EVENTS.c.object == window.object)
    query = query.where(*equals((EVENTS.c.actor, window.actor)))
    if window.since is not None:
        query = query.where(EVENTS.c.at >= window.since)
    if window.until is not None:
        query = query.where(EVENTS.c.at < window.until)
    by = EVENTS.c.seq if order == "oldest" else EVENTS.c.seq.desc()
    return await tx.all(WorkspaceEvent, query.order_by(by).limit(window.most + 1))
