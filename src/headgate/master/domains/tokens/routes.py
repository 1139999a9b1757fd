"""The routes of API tokens."""

from typing import Annotated

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.problems import not_found
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.tokens import service, store
from headgate.master.domains.tokens.types import ApiToken, MadeToken, NewToken, TokenWindow

ROUTES = Routes("tokens")


@ROUTES.get("/tokens", Permission.TOKENS_READ)
async def list_tokens(call: Here, window: Annotated[TokenWindow, Query()]) -> Page[ApiToken]:
    """Lists the organisation's API tokens, without their secrets."""
    async with call.read() as tx:
        return await store.listed(tx, window, call.now_ms)


@ROUTES.post("/tokens", Permission.TOKENS_WRITE, has_secret=True)
async def create_token(call: Here, new: NewToken) -> MadeToken:
    """Makes an API token; its secret is in this answer only."""
    return await call.write(lambda tx: service.create(tx, new, call.caller, call.now_ms))


@ROUTES.get("/tokens/{token}", Permission.TOKENS_READ)
async def get_token(call: Here, token: str) -> ApiToken:
    """Shows an API token, without its secret."""
    async with call.read() as tx:
        found = await store.find(tx, token)
    if found is None:
        raise not_found("token", token)
    return call.shown(found)


@ROUTES.delete("/tokens/{token}", Permission.TOKENS_WRITE)
async def revoke_token(call: Here, token: str) -> None:
    """Ends an API token at once."""
    await call.write(lambda tx: service.revoke(tx, token, call.now_ms))
