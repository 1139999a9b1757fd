"""The one gate between tenants: every statement is bounded, or refused."""

import re
from pathlib import Path

import pytest
from sqlalchemy import Column, String, delete, insert, select, text, update
from sqlalchemy.dialects import sqlite

import headgate.master
from headgate.master.domains import registry
from headgate.master.store.database import _refuse_ungated
from headgate.master.store.errors import TenancyError
from headgate.master.store.schema import METADATA, Tenancy, id_column, table, tenancy_of
from headgate.master.store.scope import MASTER, Scope, bounded, owned

SOURCES = Path(headgate.master.__file__).parent

ORG = table("t_org", Tenancy.ORGANISATION, id_column("id", is_key=True), Column("name", String))
ROOM = table("t_room", Tenancy.WORKSPACE, id_column("id", is_key=True), Column("name", String))
OURS = table("t_ours", Tenancy.MASTER, id_column("id", is_key=True))
for _one in (ORG, ROOM, OURS):
    METADATA.remove(_one)

INSIDE = Scope("org1", "room1")


def sql(statement: object) -> str:
    compiled = statement.compile(  # type: ignore[attr-defined]
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    return " ".join(str(compiled).split())


def test_every_read_is_bounded_to_the_workspace() -> None:
    assert sql(bounded(select(ROOM.c.name), INSIDE)) == (
        "SELECT t_room.name FROM t_room"
        " WHERE t_room.organisation_id = 'org1' AND t_room.workspace_id = 'room1'"
    )


def test_an_organisation_reads_all_of_its_workspaces() -> None:
    found = sql(bounded(select(ROOM.c.name), Scope("org1")))
    assert found.endswith("WHERE t_room.organisation_id = 'org1'")


def test_each_table_of_a_join_is_bounded() -> None:
    joined = select(ROOM.c.name).join(ORG, ORG.c.id == ROOM.c.id)
    found = sql(bounded(joined, INSIDE))
    for one in ("t_room.organisation_id", "t_org.organisation_id", "t_room.workspace_id"):
        assert f"{one} = " in found


@pytest.mark.parametrize("statement", [update(ROOM).values(name="x"), delete(ROOM)])
def test_every_change_is_bounded(statement: object) -> None:
    found = sql(bounded(statement, INSIDE))  # type: ignore[type-var]
    assert "WHERE t_room.organisation_id = 'org1' AND t_room.workspace_id = 'room1'" in found


@pytest.mark.parametrize(
    "statement",
    [
        select(ORG.c.name).where(ORG.c.id.in_(select(ROOM.c.id))),
        select(ORG.c.name, select(ROOM.c.name).scalar_subquery()),
        select(select(ROOM.c.name).subquery()),
        select(ORG.c.name).outerjoin(ROOM, ROOM.c.id == ORG.c.id),
        select(OURS.c.id),
        select(text("1")),
        update(ROOM).values(name=select(ORG.c.name).scalar_subquery()),
        delete(ROOM).where(ROOM.c.id.in_(select(ORG.c.id))),
    ],
    ids=str,
)
def test_what_cannot_be_bounded_is_refused(statement: object) -> None:
    with pytest.raises(TenancyError):
        bounded(statement, INSIDE)  # type: ignore[type-var]


def test_a_scope_without_a_tenant_reads_nothing() -> None:
    for one in (ORG, ROOM, OURS):
        with pytest.raises(TenancyError):
            bounded(select(one.c.id), Scope())


def test_a_new_row_belongs_to_the_scope_whatever_it_says() -> None:
    values: dict[str, object] = {"id": "a", "organisation_id": "org2", "workspace_id": "room2"}
    assert owned(ROOM, values, INSIDE) == {
        "id": "a",
        "organisation_id": "org1",
        "workspace_id": "room1",
    }
    for one, scope in ((ROOM, Scope("org1")), (ORG, Scope()), (OURS, INSIDE)):
        with pytest.raises(TenancyError):
            owned(one, values, scope)


def test_the_masters_own_work_is_not_bounded() -> None:
    assert "WHERE" not in sql(bounded(select(OURS.c.id), MASTER))


def test_every_table_says_whose_rows_it_holds() -> None:
    assert registry.TABLES
    for one in registry.TABLES.values():
        tenancy_of(one)
        owners = {"organisation_id", "workspace_id"} & set(one.c.keys())
        wanted = {Tenancy.MASTER: 0, Tenancy.ORGANISATION: 1, Tenancy.WORKSPACE: 2}
        assert len(owners) == wanted[tenancy_of(one)]


def test_only_the_store_executes_statements() -> None:
    """`execute` and connections stay in the store, and with backups, which are of all tenants;
    widening to the master stays where identity is decided."""
    for path in SOURCES.rglob("*.py"):
        place = path.relative_to(SOURCES).as_posix()
        source = path.read_text()
        if place.startswith(("store/", "backup/")):
            continue
        assert not re.search(r"\.execute\(|sqlalchemy\.ext|exec_driver_sql|\btext\(", source), place


def test_a_statement_that_did_not_pass_the_gate_is_refused_by_the_engine() -> None:

    with pytest.raises(TenancyError):
        _refuse_ungated(None, insert(ORG), [], {}, {})  # type: ignore[arg-type]
