"""The routes of join tokens."""

from typing import Annotated

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.problems import not_found
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.fleets import service as fleets
from headgate.master.domains.join_tokens import service, store
from headgate.master.domains.join_tokens.types import (
    JoinToken,
    JoinTokenWindow,
    MadeJoinToken,
    NewJoinToken,
)

ROUTES = Routes("join_tokens")


@ROUTES.get("/workspaces/{workspace}/join-tokens", Permission.JOIN_TOKENS_READ)
async def list_join_tokens(
    call: Here, workspace: str, window: Annotated[JoinTokenWindow, Query()]
) -> Page[JoinToken]:
    """Lists the join tokens of a workspace, without their secrets."""
    async with call.read() as tx:
        fleet = await fleets.id_of(tx, window.fleet)
        return await store.listed(tx, window, fleet, call.now_ms)


@ROUTES.post("/workspaces/{workspace}/join-tokens", Permission.JOIN_TOKENS_WRITE, has_secret=True)
async def create_join_token(call: Here, workspace: str, new: NewJoinToken) -> MadeJoinToken:
    """Makes a join token; its text is in this answer only."""
    pin = await call.master.authority.pin()
    return await call.write(lambda tx: service.create(tx, new, call.caller.id, pin, call.now_ms))


@ROUTES.get("/workspaces/{workspace}/join-tokens/{token}", Permission.JOIN_TOKENS_READ)
async def get_join_token(call: Here, workspace: str, token: str) -> JoinToken:
    """Shows a join token, without its secret."""
    async with call.read() as tx:
        found = await store.find(tx, token)
    if found is None:
        raise not_found("join token", token)
    return call.shown(found.shown())


@ROUTES.delete("/workspaces/{workspace}/join-tokens/{token}", Permission.JOIN_TOKENS_WRITE)
async def revoke_join_token(call: Here, workspace: str, token: str) -> None:
    """Ends a join token at once; agents that enrolled with it stay."""
    await call.write(lambda tx: service.revoke(tx, token, call.now_ms))
