"""The routes of templates and virtual hosts."""

from typing import Annotated

from fastapi import Query

from headgate.master.access import Permission
from headgate.master.api.call import Call, Here
from headgate.master.api.problems import not_found
from headgate.master.api.routing import Routes
from headgate.master.api.types import Name, Page
from headgate.master.domains.fleets import service as fleets
from headgate.master.domains.resources.types import InSet
from headgate.master.domains.templates import service, store
from headgate.master.domains.templates.types import (
    NewTemplate,
    NewVirtualHost,
    PutTemplate,
    Template,
    TemplateWindow,
    VirtualHost,
    VirtualHostWindow,
)

ROUTES = Routes("templates")
_ALL = "/workspaces/{workspace}/templates"
_HOSTS = "/workspaces/{workspace}/virtual-hosts"
Own = Annotated[InSet, Query()]
"""The set that a write is of."""


@ROUTES.get(_ALL, Permission.RESOURCES_READ)
async def list_templates(
    call: Here, workspace: str, window: Annotated[TemplateWindow, Query()]
) -> Page[Template]:
    """Lists the workspace's templates."""
    async with call.read() as tx:
        return await store.listed(tx, window)


@ROUTES.get(_ALL + "/{template}", Permission.RESOURCES_READ)
async def get_template(call: Here, workspace: str, template: str) -> Template:
    """Shows a template."""
    async with call.read() as tx:
        row = await store.find(tx, template)
    if row is None:
        raise not_found("template", template)
    return call.shown(store.shown(row))


@ROUTES.put(_ALL + "/{template}", Permission.RESOURCES_WRITE)
async def put_template(
    call: Here, workspace: str, template: Name, new: NewTemplate, own: Own
) -> PutTemplate:
    """Writes a template. What its virtual hosts would become is a draft; it is never published
    by itself. `If-None-Match: *`: only a new one."""
    return await call.write(lambda tx: service.put(tx, new, _writing(call, template, own)))


@ROUTES.delete(_ALL + "/{template}", Permission.RESOURCES_WRITE)
async def delete_template(call: Here, workspace: str, template: str, own: Own) -> None:
    """Removes a template that no virtual host is made of."""
    await call.write(lambda tx: service.remove(tx, _writing(call, template, own)))


@ROUTES.get(_HOSTS, Permission.RESOURCES_READ)
async def list_virtual_hosts(
    call: Here, workspace: str, window: Annotated[VirtualHostWindow, Query()]
) -> Page[VirtualHost]:
    """Lists the workspace's virtual hosts."""
    async with call.read() as tx:
        fleet = None if window.fleet is None else await fleets.found(tx, window.fleet)
        return await store.listed_hosts(tx, window, None if fleet is None else fleet.shown().labels)


@ROUTES.get(_HOSTS + "/{host}", Permission.RESOURCES_READ)
async def get_virtual_host(call: Here, workspace: str, host: str) -> VirtualHost:
    """Shows a virtual host."""
    async with call.read() as tx:
        row = await store.find_host(tx, host)
    if row is None:
        raise not_found("virtual host", host)
    return call.shown(store.shown_host(row))


@ROUTES.put(_HOSTS + "/{host}", Permission.RESOURCES_WRITE)
async def put_virtual_host(
    call: Here, workspace: str, host: Name, new: NewVirtualHost, own: Own
) -> VirtualHost:
    """Makes a virtual host of a template, or makes it anew: writes its resources.
    `If-None-Match: *`: only a new one."""
    return await call.write(lambda tx: service.put_host(tx, new, _writing(call, host, own)))


@ROUTES.delete(_HOSTS + "/{host}", Permission.RESOURCES_WRITE)
async def delete_virtual_host(call: Here, workspace: str, host: str, own: Own) -> None:
    """Removes a virtual host with its resources."""
    await call.write(lambda tx: service.remove_host(tx, _writing(call, host, own)))


def _writing(call: Call, name: str, own: InSet) -> service.Writing:
    return service.Writing(name, call.caller, call.now_ms, call.expected, own)
