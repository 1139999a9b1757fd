"""The rules of workspaces."""

from headgate.master.api.expecting import Expected
from headgate.master.api.problems import not_found, stale, taken
from headgate.master.domains.workspaces import store
from headgate.master.domains.workspaces.types import NewWorkspace, Workspace
from headgate.master.ids import new_id
from headgate.master.store.errors import TakenError
from headgate.master.store.transaction import Transaction


async def create(tx: Transaction, new: NewWorkspace, now_ms: int) -> Workspace:
    """Makes a workspace in the scope's organisation."""
    one = Workspace(
        id=new_id(now_ms),
        version=1,
        organisation_id=tx.scope.organisation_id,
        name=new.name,
        created_at=now_ms,
    )
    try:
        await store.insert(tx, one)
    except TakenError:
        raise taken("workspace", new.name) from None
    return one


async def rename(
    tx: Transaction, workspace_id: str, new: NewWorkspace, expected: Expected
) -> Workspace:
    """Gives a workspace another name; a stale one is refused with 412."""
    current = await store.find(tx, workspace_id)
    if current is None:
        raise not_found("workspace", workspace_id)
    if not expected.fits(current):
        raise stale(current)
    try:
        changed = await store.rename(tx, current, new.name)
    except TakenError:
        raise taken("workspace", new.name) from None
    if not changed:
        raise stale(current)
    return current.model_copy(update={"name": new.name, "version": current.version + 1})
