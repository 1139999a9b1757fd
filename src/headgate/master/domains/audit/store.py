"""The rows of the audit log; they are added and read, never changed."""

from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Column, String, Text

from headgate.master.api.filters import Condition, begins, between, equals
from headgate.master.api.types import Page, paged
from headgate.master.domains.audit.types import AuditEntry, AuditWindow, MasterAuditWindow
from headgate.master.ids import new_id
from headgate.master.store.schema import Tenancy, id_column, table, time_column
from headgate.master.store.transaction import Transaction, columns_of

AUDIT: Final = table(
    "audit",
    Tenancy.ORGANISATION,
    id_column("id", is_key=True),
    time_column("at"),
    Column("workspace", String(26), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
)

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the audit log; texts that a client chose are cut."""

    organisation_id: str
    action: str
    object: str = ""
    workspace: str = ""
    actor: str = ""
    actor_name: str = ""
    address: str = ""
    outcome: str = "done"


async def record(tx: Transaction, event: Event, now_ms: int) -> None:
    """Adds a line, within the transaction of the change itself."""
    values = {name: text[:_LONGEST] for name, text in asdict(event).items()}
    await tx.as_master().insert(AUDIT, id=new_id(now_ms), at=now_ms, **values)


async def listed(tx: Transaction, window: AuditWindow) -> Page[AuditEntry]:
    """Returns lines of the scope, the newest first."""
    return await _listed(tx, window, equals((AUDIT.c.workspace, window.workspace)))


async def listed_of_master(tx: Transaction, window: MasterAuditWindow) -> Page[AuditEntry]:
    """Returns lines that belong to no organisation, the newest first; the scope is the master's."""
    return await _listed(tx, window, equals((AUDIT.c.organisation_id, "")))


async def _listed(
    tx: Transaction, window: MasterAuditWindow, where: list[Condition]
) -> Page[AuditEntry]:
    query = columns_of(AUDIT, AuditEntry).where(
        *where,
        *between(AUDIT.c.id, window.since, window.until),
        *equals((AUDIT.c.outcome, window.outcome)),
        *begins(AUDIT.c.action, window.action),
        *begins(AUDIT.c.object, window.object),
    )
    if window.actor is not None:
        named = AUDIT.c.actor_name == window.actor
        query = query.where((AUDIT.c.actor == window.actor) | named)
    return await paged(tx, AuditEntry, query, AUDIT.c.id, window, is_newest_first=True)


async def forget(tx: Transaction, before_ms: int, most: int) -> int:
    """Removes lines from before that time."""
    return await tx.forget(AUDIT, AUDIT.c.at < before_ms, most=most)
