"""The rows of events. Each is added in the transaction of what it tells, so none is ever lost or
told too early; a counter row makes their numbers follow each other in the order of commits."""

from typing import Final

from sqlalchemy import BigInteger, Column, String, Text, UniqueConstraint, delete, update

from headgate.master.domains.events.types import Bounds, WorkspaceEvent
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


async def append(
    tx: Transaction, kind: str, subject: str, actor: str, now_ms: int
) -> WorkspaceEvent:
    """Adds an event of the scope's workspace; other writers of it wait until this one ends."""
    counted = await tx.change(update(COUNTERS).values(newest=COUNTERS.c.newest + 1))
    if not counted:
        await tx.insert(COUNTERS, id=new_id(now_ms), newest=1, oldest=1)
    found = await bounds(tx)
    event = WorkspaceEvent(seq=found.newest, type=kind, object=subject, actor=actor, at=now_ms)
    await tx.insert(EVENTS, id=new_id(now_ms), **event.model_dump())
    if found.newest % _PRUNED_EVERY == 0 and found.newest > KEPT:
        oldest = found.newest - KEPT + 1
        await tx.change(delete(EVENTS).where(EVENTS.c.seq < oldest))
        await tx.change(update(COUNTERS).values(oldest=oldest))
    return event


async def bounds(tx: Transaction) -> Bounds:
    """Returns which events of the workspace are still there; 1 and 0 before the first."""
    found = await tx.find(Bounds, COUNTERS)
    return found or Bounds(oldest=1, newest=0)


async def after(tx: Transaction, seq: int, most: int) -> list[WorkspaceEvent]:
    """Returns the events that follow a number, in their order."""
    query = columns_of(EVENTS, WorkspaceEvent).where(EVENTS.c.seq > seq)
    return await tx.all(WorkspaceEvent, query.order_by(EVENTS.c.seq).limit(most))
