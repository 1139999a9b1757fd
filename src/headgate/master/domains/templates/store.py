"""The rows of templates and of virtual hosts."""

import json
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Column, String, Text, UniqueConstraint, delete, update

from headgate.master.api.filters import begins, chosen, equals, labelled
from headgate.master.api.types import Page, paged
from headgate.master.domains.resources.set_names import DEFAULT_SET
from headgate.master.domains.templates.types import (
    NewTemplate,
    Template,
    TemplateRow,
    TemplateWindow,
    VirtualHost,
    VirtualHostRow,
    VirtualHostWindow,
)
from headgate.master.store.schema import Tenancy, id_column, table, time_column, version_column
from headgate.master.store.transaction import Transaction, columns_of

TEMPLATES: Final = table(
    "templates",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    Column("name", String(63), nullable=False),
    Column("body", Text, nullable=False),
    Column("set_name", String(63), nullable=False, server_default=DEFAULT_SET),
    time_column("changed_at"),
    version_column(),
    UniqueConstraint("workspace_id", "name"),
)
VIRTUAL_HOSTS: Final = table(
    "virtual_hosts",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    Column("name", String(63), nullable=False),
    Column("template", String(63), nullable=False),
    Column("given", Text, nullable=False),
    Column("fleets", Text, nullable=False),
    Column("nodes", Text, nullable=True),
    Column("objects", Text, nullable=False),
    Column("set_name", String(63), nullable=False, server_default=DEFAULT_SET),
    time_column("changed_at"),
    version_column(),
    UniqueConstraint("workspace_id", "name"),
)


def body_of(row: TemplateRow) -> NewTemplate:
    """Returns what a template says."""
    return NewTemplate.model_validate_json(row.body)


def shown(row: TemplateRow) -> Template:
    """Returns the template of a row."""
    body = body_of(row)
    return Template(
        id=row.id,
        version=row.version,
        name=row.name,
        parameters=body.parameters,
        objects=body.objects,
        source=body.source,
        set=row.set_name,
        changed_at=row.changed_at,
    )


def shown_host(row: VirtualHostRow) -> VirtualHost:
    """Returns the virtual host of a row."""
    read = {
        "values": json.loads(row.given),
        "fleets": json.loads(row.fleets),
        "nodes": json.loads(row.nodes or "{}"),
        "objects": json.loads(row.objects),
        "set": row.set_name,
    }
    return VirtualHost.model_validate(row.model_dump(exclude={"given", "set_name"}) | read)


async def find(tx: Transaction, name: str) -> TemplateRow | None:
    """Returns a template."""
    return await tx.find(TemplateRow, TEMPLATES, TEMPLATES.c.name == name)


async def listed(tx: Transaction, window: TemplateWindow) -> Page[Template]:
    """Returns templates, by name."""
    query = columns_of(TEMPLATES, TemplateRow).where(
        *begins(TEMPLATES.c.name, window.name_prefix), *equals((TEMPLATES.c.set_name, window.set))
    )
    page = await paged(tx, TemplateRow, query, TEMPLATES.c.name, window)
    return Page[Template](items=[shown(row) for row in page.items], next=page.next)


async def insert(tx: Transaction, row: TemplateRow) -> None:
    """Adds a template; raises TakenError."""
    await tx.insert(TEMPLATES, **row.model_dump())


async def put(tx: Transaction, row: TemplateRow) -> int:
    """Writes a template as its next version; returns 0 if it is not the one before any more."""
    same = (TEMPLATES.c.id == row.id, TEMPLATES.c.version == row.version - 1)
    return await tx.change(update(TEMPLATES).where(*same).values(**row.model_dump()))


async def remove(tx: Transaction, row: TemplateRow) -> int:
    """Removes a template; returns 0 if it is not that version any more."""
    same = (TEMPLATES.c.id == row.id, TEMPLATES.c.version == row.version)
    return await tx.change(delete(TEMPLATES).where(*same))


async def find_host(tx: Transaction, name: str) -> VirtualHostRow | None:
    """Returns a virtual host."""
    return await tx.find(VirtualHostRow, VIRTUAL_HOSTS, VIRTUAL_HOSTS.c.name == name)


async def hosts(tx: Transaction, template: str | None = None) -> list[VirtualHostRow]:
    """Returns all virtual hosts, or those of one template, by name."""
    query = columns_of(VIRTUAL_HOSTS, VirtualHostRow).order_by(VIRTUAL_HOSTS.c.name)
    if template is not None:
        query = query.where(VIRTUAL_HOSTS.c.template == template)
    return await tx.all(VirtualHostRow, query)


async def hosts_of_nodes(tx: Transaction) -> list[VirtualHostRow]:
    """Returns the virtual hosts whose objects may have values of nodes, by name."""
    query = columns_of(VIRTUAL_HOSTS, VirtualHostRow).order_by(VIRTUAL_HOSTS.c.name)
    return await tx.all(VirtualHostRow, query.where(VIRTUAL_HOSTS.c.nodes.is_not(None)))


async def listed_hosts(
    tx: Transaction, window: VirtualHostWindow, labels: Mapping[str, str] | None
) -> Page[VirtualHost]:
    """Returns virtual hosts, by name; with the `labels` of a fleet those whose objects go there."""
    hosts = VIRTUAL_HOSTS.c
    query = columns_of(VIRTUAL_HOSTS, VirtualHostRow).where(
        *begins(hosts.name, window.name_prefix),
        *equals((hosts.set_name, window.set), (hosts.template, window.template)),
        *labelled(hosts.fleets, window.label),
    )
    if labels is not None:
        query = query.where(chosen(hosts.fleets, labels))
    page = await paged(tx, VirtualHostRow, query, VIRTUAL_HOSTS.c.name, window)
    return Page[VirtualHost](items=[shown_host(row) for row in page.items], next=page.next)


async def insert_host(tx: Transaction, row: VirtualHostRow) -> None:
    """Adds a virtual host; raises TakenError."""
    await tx.insert(VIRTUAL_HOSTS, **row.model_dump())


async def put_host(tx: Transaction, row: VirtualHostRow) -> int:
    """Writes a virtual host as its next version; returns 0 if it changed meanwhile."""
    same = (VIRTUAL_HOSTS.c.id == row.id, VIRTUAL_HOSTS.c.version == row.version - 1)
    return await tx.change(update(VIRTUAL_HOSTS).where(*same).values(**row.model_dump()))


async def remove_host(tx: Transaction, row: VirtualHostRow) -> int:
    """Removes a virtual host; returns 0 if it changed meanwhile."""
    same = (VIRTUAL_HOSTS.c.id == row.id, VIRTUAL_HOSTS.c.version == row.version)
    return await tx.change(delete(VIRTUAL_HOSTS).where(*same))
