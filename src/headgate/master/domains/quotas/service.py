"""The rules of quotas."""

from sqlalchemy import update

from headgate.master.api.expecting import Expected
from headgate.master.api.problems import not_found, stale
from headgate.master.domains.agents.store import AGENTS
from headgate.master.domains.fleets.store import FLEETS
from headgate.master.domains.quotas.types import (
    QuotaChange,
    QuotaLimits,
    QuotaRow,
    Quotas,
    QuotaUse,
)
from headgate.master.domains.resources.store import RESOURCES
from headgate.master.domains.tokens.store import TOKENS
from headgate.master.domains.workspaces import store as workspaces
from headgate.master.store.quotas import DEFAULTS, QUOTAS
from headgate.master.store.transaction import Transaction


async def shown(tx: Transaction, workspace_id: str) -> Quotas:
    """Returns the quotas of a workspace; version 0: nobody has set them."""
    row = await _row(tx, workspace_id)
    return Quotas(
        id=workspace_id,
        version=row.version,
        limits=QuotaLimits(**row.model_dump(exclude={"version"})),
        used=QuotaUse(
            routes=await tx.quotas.used(RESOURCES, workspace_id),
            fleets=await tx.quotas.used(FLEETS, workspace_id),
            agents=await tx.quotas.used(AGENTS, workspace_id),
            tokens=await tx.quotas.used(TOKENS, workspace_id),
        ),
    )


async def change(
    tx: Transaction, workspace_id: str, new: QuotaChange, expected: Expected
) -> Quotas:
    """Sets quotas; what is there stays, even if it is more than is allowed from now on."""
    if await workspaces.find(tx, workspace_id) is None:
        raise not_found("workspace", workspace_id)
    if not expected.fits(before := await shown(tx, workspace_id)):
        raise stale(before)
    current = await _row(tx, workspace_id)
    values = current.model_dump() | new.model_dump(exclude_none=True)
    values["version"] = current.version + 1
    if current.version == 0:
        await tx.insert(QUOTAS, workspace=workspace_id, **values)
        return await shown(tx, workspace_id)
    same = (QUOTAS.c.workspace == workspace_id, QUOTAS.c.version == current.version)
    if not await tx.change(update(QUOTAS).where(*same).values(**values)):
        raise stale(await shown(tx, workspace_id))
    return await shown(tx, workspace_id)


async def _row(tx: Transaction, workspace_id: str) -> QuotaRow:
    found = await tx.find(QuotaRow, QUOTAS, QUOTAS.c.workspace == workspace_id)
    return found or QuotaRow(version=0, **DEFAULTS.model_dump())
