"""The routes of users."""

from typing import Annotated

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Call, Here
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.tokens import service as tokens
from headgate.master.domains.users import service
from headgate.master.domains.users.types import InvitedUser, NewGrant, NewUser, User, UserWindow
from headgate.master.store.transaction import Transaction

ROUTES = Routes("users")


@ROUTES.get("/users", Permission.USERS_READ)
async def list_users(call: Here, window: Annotated[UserWindow, Query()]) -> Page[User]:
    """Lists the members of the organisation."""
    async with call.read() as tx:
        return await service.listed(tx, window)


@ROUTES.post("/users", Permission.USERS_WRITE, has_secret=True)
async def invite_user(call: Here, new: NewUser) -> InvitedUser:
    """Makes a user; an administrator of the master may also take one of another organisation in."""
    return await call.write(lambda tx: service.invite(tx, new, call.caller, call.now_ms))


@ROUTES.get("/users/{user}", Permission.USERS_READ)
async def get_user(call: Here, user: str) -> User:
    """Shows a member of the organisation."""
    async with call.read() as tx:
        return call.shown(await service.find(tx, user))


@ROUTES.put("/users/{user}/role", Permission.USERS_WRITE)
async def put_role(call: Here, user: str, new: NewGrant) -> User:
    """Gives a member another role in the organisation or in one of its workspaces. API tokens that
    they made get a lesser one, too."""

    async def work(tx: Transaction) -> User:
        call.require_version(await service.find(tx, user, is_locked=True))
        changed = await service.change_role(tx, user, new, call.caller, call.now_ms)
        await _fit_tokens(call, tx, user)
        return changed

    return await call.write(work)


@ROUTES.delete("/users/{user}", Permission.USERS_WRITE)
async def remove_user(call: Here, user: str) -> None:
    """Takes a member out of the organisation; their account ends if it was their last one. The API
    tokens that they made there end."""

    async def work(tx: Transaction) -> None:
        call.require_version(await service.find(tx, user, is_locked=True))
        await service.remove(tx, user)
        await _fit_tokens(call, tx, user)

    await call.write(work)


async def _fit_tokens(call: Call, tx: Transaction, user: str) -> None:
    """Takes from API tokens what who made them may not do any more; each has a line in the audit
    log."""
    for token in await tokens.fit(tx, user, call.now_ms):
        await call.note(tx, "a token lost what its maker lost", f"/tokens/{token}")
