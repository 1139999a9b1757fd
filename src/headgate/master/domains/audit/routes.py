"""The routes of the audit log."""

from headgate.master.access import Permission
from headgate.master.api.call import Here, OrganisationPart
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.audit import store
from headgate.master.domains.audit.types import AuditEntry

ROUTES = Routes("audit")


@ROUTES.get("/audit", Permission.AUDIT_READ)
async def list_audit(call: Here, window: OrganisationPart) -> Page[AuditEntry]:
    """Lists who changed what in the organisation, the newest first."""
    async with call.read() as tx:
        return await store.listed(tx, window)
