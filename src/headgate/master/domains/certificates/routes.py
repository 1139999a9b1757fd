"""The routes of certificates that nodes serve with."""

from typing import Annotated

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.certificates import store
from headgate.master.domains.certificates.types import CertificateWindow, ServedCertificate
from headgate.master.domains.fleets import service as fleets

ROUTES = Routes("certificates")


@ROUTES.get("/workspaces/{workspace}/certificates", Permission.AGENTS_READ)
async def list_certificates(
    call: Here, workspace: str, window: Annotated[CertificateWindow, Query()]
) -> Page[ServedCertificate]:
    """Lists every certificate that a node of the workspace serves with, those that end first
    first."""
    async with call.read() as tx:
        fleet = await fleets.id_of(tx, window.fleet)
        return await store.listed(tx, window, fleet, call.now_ms)
