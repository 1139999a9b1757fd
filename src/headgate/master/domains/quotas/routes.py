"""The routes of quotas."""

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.routing import Routes
from headgate.master.domains.quotas import service
from headgate.master.domains.quotas.types import QuotaChange, Quotas

ROUTES = Routes("quotas")


@ROUTES.get("/workspaces/{workspace}/quotas", Permission.QUOTAS_READ)
async def get_quotas(call: Here, workspace: str) -> Quotas:
    """Says how much a workspace may have, and how much of it is used."""
    async with call.read() as tx:
        return call.shown(await service.shown(tx, call.scope.workspace_id))


@ROUTES.patch("/organisations/{organisation}/workspaces/{key}/quotas", Permission.QUOTAS_WRITE)
async def change_quotas(call: Here, organisation: str, key: str, new: QuotaChange) -> Quotas:
    """Sets how much a workspace, named by its id, may have; what is left out stays."""
    changed = await call.write(lambda tx: service.change(tx, key, new, call.expected))
    call.master.refusals.forget()
    return changed
