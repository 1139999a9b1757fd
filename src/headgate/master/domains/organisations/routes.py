"""The routes of organisations."""

from typing import Annotated

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.problems import not_found
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.organisations import service, store
from headgate.master.domains.organisations.types import (
    NewOrganisation,
    Organisation,
    OrganisationsWindow,
)

ROUTES = Routes("organisations")


@ROUTES.get("/organisations", Permission.SELF)
async def list_organisations(
    call: Here, window: Annotated[OrganisationsWindow, Query()]
) -> Page[Organisation]:
    """Lists the organisations that the caller belongs to."""
    async with call.read() as tx:
        return await store.listed(tx, call.caller.organisations, window)


@ROUTES.post("/organisations", Permission.ORGANISATIONS_CREATE)
async def create_organisation(call: Here, new: NewOrganisation) -> Organisation:
    """Makes an organisation; the caller becomes its first administrator."""
    return await call.write(lambda tx: service.create(tx, new, call.caller, call.now_ms))


@ROUTES.get("/organisations/{organisation}", Permission.ORGANISATIONS_READ)
async def get_organisation(call: Here, organisation: str) -> Organisation:
    """Shows an organisation."""
    async with call.read() as tx:
        found = await store.find(tx, call.scope.organisation_id)
    if found is None:
        raise not_found("organisation", organisation)
    return call.shown(found)
