"""The quotas of a workspace: its limits, held against every new row in one place."""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel
from sqlalchemy import Column, CursorResult, Integer, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.master.store.errors import QuotaError
from headgate.master.store.schema import (
    METADATA,
    Counted,
    Tenancy,
    id_column,
    table,
    version_column,
)
from headgate.master.store.scope import Query, Scope, bounded

_GATED: Final = {"headgate_gated": True}


class Limits(BaseModel):
    """A workspace's limits, unless an administrator of its organisation sets others."""

    routes: int = 20_000
    fleets: int = 200
    agents: int = 20_000
    tokens: int = 1_000
    revisions: int = 1_000
    requests_per_minute: int = 30_000


DEFAULTS: Final = Limits()
QUOTAS: Final = table(
    "quotas",
    Tenancy.ORGANISATION,
    id_column("workspace", is_key=True),
    *(Column(name, Integer, nullable=False) for name in Limits.model_fields),
    version_column(),
)


@dataclass(frozen=True, slots=True)
class Desk:
    """The place where quotas are looked up: the connection of a transaction, and its tenant."""

    connection: AsyncConnection
    scope: Scope

    async def limits(self, workspace_id: str) -> Limits:
        """Returns what a workspace may have."""
        query: Query = select(*(QUOTAS.c[name] for name in Limits.model_fields))
        found = await self._asked(query.where(QUOTAS.c.workspace == workspace_id))
        row = found.mappings().first()
        return DEFAULTS if row is None else Limits.model_validate(dict(row))

    async def require_room(self, source: Table, values: dict[str, object]) -> None:
        """Raises QuotaError if the workspace of a new row has as many as it may have."""
        counted = source.info.get("counted")
        if not isinstance(counted, Counted):
            return
        workspace_id = values.get(counted.workspace)
        if not isinstance(workspace_id, str) or not workspace_id:
            return
        if any(values.get(name) != value for name, value in counted.only):
            return
        # One new row at a time, or two would both find room for the last one.
        workspaces = METADATA.tables["workspaces"]
        turn: Query = select(workspaces.c.id).where(workspaces.c.id == workspace_id)
        await self._asked(turn.with_for_update())
        most = getattr(await self.limits(workspace_id), counted.name)
        if await self.used(source, workspace_id) >= most:
            raise QuotaError(counted.name, most)

    async def used(self, source: Table, workspace_id: str) -> int:
        """Returns how many rows of a table count against the workspace's quota."""
        counted = source.info["counted"]
        query: Query = select(func.count()).select_from(source)  # type: ignore[assignment]
        query = query.where(source.c[counted.workspace] == workspace_id)
        for name, value in counted.only:
            query = query.where(source.c[name] == value)
        if counted.ended is not None:
            query = query.where(source.c[counted.ended].is_(None))
        found = (await self._asked(query)).scalar()
        return found if isinstance(found, int) else 0

    async def _asked(self, query: Query) -> CursorResult[tuple[object, ...]]:
        statement = bounded(query, self.scope)
        return await self.connection.execute(statement, execution_options=_GATED)
