"""The routes of secret files."""

from typing import Annotated

from fastapi import Path, Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.problems import not_found, taken
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.enrolment.sealing import sealing
from headgate.master.domains.secrets import service, store
from headgate.master.domains.secrets.types import (
    NewSecret,
    Secret,
    SecretName,
    SecretWindow,
)
from headgate.master.store.transaction import Transaction

ROUTES = Routes("secrets")
_ONE = "/workspaces/{workspace}/secrets/{name}"


@ROUTES.get("/workspaces/{workspace}/secrets", Permission.RESOURCES_READ)
async def list_secrets(
    call: Here, workspace: str, window: Annotated[SecretWindow, Query()]
) -> Page[Secret]:
    """Lists secret files, without their contents."""
    async with call.read() as tx:
        return await store.listed(tx, window)


@ROUTES.get(_ONE, Permission.RESOURCES_READ)
async def get_secret(call: Here, workspace: str, name: str) -> Secret:
    """Shows a secret file, without its content."""
    async with call.read() as tx:
        found = await store.find(tx, name)
    if found is None:
        raise not_found("secret", name)
    return call.shown(found)


@ROUTES.put(_ONE, Permission.RESOURCES_WRITE)
async def put_secret(
    call: Here, workspace: str, name: Annotated[SecretName, Path()], new: NewSecret
) -> Secret:
    """Writes a secret file; nothing shows its content again. `If-None-Match: *`: only a new one."""
    given = (name, new.content.encode())

    async def work(tx: Transaction) -> Secret:
        seal = await sealing(tx, call.master.sealer)
        current = await store.find(tx, name, is_locked=True)
        if current is not None and call.expected.is_new:
            raise taken("secret", name)
        call.require_version(current)
        return await service.put(tx, given, seal, call.caller, call.now_ms)

    return await call.write(work)


@ROUTES.delete(_ONE, Permission.RESOURCES_WRITE)
async def delete_secret(call: Here, workspace: str, name: str) -> None:
    """Removes a secret file; revisions that have it keep it."""

    async def work(tx: Transaction) -> None:
        call.require_version(await store.find(tx, name, is_locked=True))
        await service.remove(tx, name)

    await call.write(work)
