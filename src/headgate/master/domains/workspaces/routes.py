"""The routes of workspaces."""

from typing import Annotated

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.problems import not_found
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.workspaces import service, store
from headgate.master.domains.workspaces.types import NewWorkspace, Workspace, WorkspaceWindow

ROUTES = Routes("workspaces")


@ROUTES.get("/workspaces", Permission.SELF)
async def list_workspaces(
    call: Here, window: Annotated[WorkspaceWindow, Query()]
) -> Page[Workspace]:
    """Lists the workspaces in which the caller has a role."""
    async with call.read() as tx:
        return await store.listed(tx, call.caller.grants, window)


@ROUTES.post("/organisations/{organisation}/workspaces", Permission.WORKSPACES_WRITE)
async def create_workspace(call: Here, organisation: str, new: NewWorkspace) -> Workspace:
    """Makes a workspace in an organisation."""
    return await call.write(lambda tx: service.create(tx, new, call.now_ms))


@ROUTES.get("/workspaces/{workspace}", Permission.WORKSPACES_READ)
async def get_workspace(call: Here, workspace: str) -> Workspace:
    """Shows a workspace; `workspace` is its id or its name."""
    async with call.read() as tx:
        found = await store.find(tx, call.scope.workspace_id)
    if found is None:
        raise not_found("workspace", workspace)
    return call.shown(found)


@ROUTES.patch("/organisations/{organisation}/workspaces/{key}", Permission.WORKSPACES_WRITE)
async def rename_workspace(call: Here, organisation: str, key: str, new: NewWorkspace) -> Workspace:
    """Gives a workspace, named by its id, another name."""
    return await call.write(lambda tx: service.rename(tx, key, new, call.expected))
