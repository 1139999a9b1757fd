"""The routes of config resources."""

from typing import Annotated

from fastapi import Query

from headgate.fleet.manifest import resource_path
from headgate.master.access import Permission
from headgate.master.api.call import Call, Here
from headgate.master.api.gate import require
from headgate.master.api.problems import not_found
from headgate.master.api.routing import Routes
from headgate.master.api.types import JsonBytes, Page
from headgate.master.domains.fleets import service as fleets
from headgate.master.domains.resources import service, store
from headgate.master.domains.resources.types import (
    Change,
    InSet,
    Kind,
    NewSpec,
    Resource,
    ResourceWindow,
)

ROUTES = Routes("resources")
_ONE = "/workspaces/{workspace}/resources/{kind}/{name}"


@ROUTES.get("/workspaces/{workspace}/resources", Permission.RESOURCES_READ, body=Page[Resource])
async def list_resources(
    call: Here, workspace: str, window: Annotated[ResourceWindow, Query()]
) -> JsonBytes:
    """Lists the objects that the next revision will have, by their path."""
    async with call.read() as tx:
        fleet = None if window.fleet is None else await fleets.found(tx, window.fleet)
        labels = None if fleet is None else fleet.shown().labels
        return JsonBytes(await store.listed(tx, window, labels))


@ROUTES.get(_ONE, Permission.RESOURCES_READ)
async def get_resource(call: Here, workspace: str, kind: Kind, name: str) -> Resource:
    """Shows an object."""
    async with call.read() as tx:
        row = await store.find(tx, resource_path(kind, name))
    if row is None:
        raise not_found(kind, name)
    return call.shown(store.shown(row))


@ROUTES.put(_ONE, Permission.RESOURCES_WRITE)
async def put_resource(
    call: Here, workspace: str, kind: Kind, name: str, new: NewSpec, own: Annotated[InSet, Query()]
) -> Resource:
    """Writes an object whole; an equal one stays as it is. `If-None-Match: *`: only a new one.

    `nginx_imports` need the permission `resources.verbatim`, because nginx runs their text.
    """
    _require(call, kind)
    change = Change(kind=kind, name=name, spec=new.spec, fleets=new.fleets, **own.model_dump())
    return await call.write(
        lambda tx: service.put(tx, change, call.caller, call.now_ms, call.expected)
    )


@ROUTES.delete(_ONE, Permission.RESOURCES_WRITE)
async def delete_resource(
    call: Here, workspace: str, kind: Kind, name: str, own: Annotated[InSet, Query()]
) -> None:
    """Removes an object; one of `nginx_imports` needs the permission `resources.verbatim`."""
    _require(call, kind)
    change = Change(kind=kind, name=name, spec=None, **own.model_dump())
    await call.write(lambda tx: service.remove(tx, change, call.caller, call.now_ms, call.expected))


def _require(call: Call, kind: Kind) -> None:
    if kind in service.VERBATIM:
        require(call, Permission.RESOURCES_VERBATIM)
