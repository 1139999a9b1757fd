"""The routes of the audit log."""

from typing import Annotated

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.audit import store
from headgate.master.domains.audit.types import AuditEntry, AuditWindow, MasterAuditWindow

ROUTES = Routes("audit")


@ROUTES.get("/audit", Permission.AUDIT_READ)
async def list_audit(call: Here, window: Annotated[AuditWindow, Query()]) -> Page[AuditEntry]:
    """Lists who changed what in the organisation, the newest first."""
    async with call.read() as tx:
        return await store.listed(tx, window)


@ROUTES.get("/master/audit", Permission.MASTER_READ)
async def list_master_audit(
    call: Here, window: Annotated[MasterAuditWindow, Query()]
) -> Page[AuditEntry]:
    """Lists who changed what of the whole master, and whose login failed, the newest first."""
    async with call.read() as tx:
        return await store.listed_of_master(tx, window)
