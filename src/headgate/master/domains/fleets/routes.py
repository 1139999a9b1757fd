"""The routes of fleets."""

from typing import Annotated

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.agents import store as agents
from headgate.master.domains.fleets import service, store
from headgate.master.domains.fleets.types import Fleet, FleetChange, FleetWindow, NewFleet

ROUTES = Routes("fleets")


@ROUTES.get("/workspaces/{workspace}/fleets", Permission.FLEETS_READ)
async def list_fleets(
    call: Here, workspace: str, window: Annotated[FleetWindow, Query()]
) -> Page[Fleet]:
    """Lists the fleets of a workspace."""
    async with call.read() as tx:
        return await store.listed(tx, window)


@ROUTES.post("/workspaces/{workspace}/fleets", Permission.FLEETS_WRITE)
async def create_fleet(call: Here, workspace: str, new: NewFleet) -> Fleet:
    """Makes a fleet."""
    return await call.write(lambda tx: service.create(tx, new, call.now_ms))


@ROUTES.get("/workspaces/{workspace}/fleets/{fleet}", Permission.FLEETS_READ)
async def get_fleet(call: Here, workspace: str, fleet: str) -> Fleet:
    """Shows a fleet; `fleet` is its id or its name."""
    async with call.read() as tx:
        return call.shown((await service.found(tx, fleet)).shown())


@ROUTES.patch("/workspaces/{workspace}/fleets/{fleet}", Permission.FLEETS_WRITE)
async def change_fleet(call: Here, workspace: str, fleet: str, new: FleetChange) -> Fleet:
    """Changes a fleet; what is left out stays."""
    done = await call.write(lambda tx: service.change(tx, fleet, new, call.expected, call.now_ms))
    if new.policies is not None:
        async with call.read() as tx:
            members = await agents.ids_of(tx, done.id)
        call.master.hub.wake(members)
    return done


@ROUTES.delete("/workspaces/{workspace}/fleets/{fleet}", Permission.FLEETS_WRITE)
async def delete_fleet(call: Here, workspace: str, fleet: str) -> None:
    """Removes a fleet that has no agents, with its join tokens, revisions, rollouts and freezes."""
    await call.write(lambda tx: service.remove(tx, fleet, call.expected))
