"""Lists of many objects are read in the order of an index, not sorted; both databases."""

import json
from typing import Any

import pytest
from master_world import World
from sqlalchemy import event

from headgate.master.domains.agents.store import AGENTS
from headgate.master.domains.resources.store import RESOURCES
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

W = "/workspaces/default"
MANY = 3_000


@pytest.fixture
def admin(world: World) -> str:
    """A workspace with many objects; the administrator's token."""
    token = world.set_up()
    found = world.ask("GET", W, token=token)
    owner = {"organisation_id": found["organisation_id"], "workspace_id": found["id"]}

    resource = {"spec": "{}", "fleets": "{}", "changed_at": 0, "changed_by": "x", "version": 1}
    agent = {
        **dict.fromkeys(("labels", "facts"), "{}"),
        **dict.fromkeys(("token", "key_hash", "fleet"), "x"),
        **dict.fromkeys(("rollout", "held_scope", "phase", "effective_hash"), ""),
        **dict.fromkeys(("certificate_expires_at", "created_at", "fence", "wave"), 0),
        "version": 1,
    }
    names = [f"n{number:05}" for number in range(MANY)]
    rows = {
        RESOURCES: [
            owner
            | resource
            | {"id": f"r{name}", "name": name, "path": f"routes/{name}.json"}
            | {"kind": "routes" if number % 100 else "upstreams"}
            | {"set_name": "default" if number % 100 else "upstreams-of-all"}
            for number, name in enumerate(names)
        ],
        AGENTS: [owner | agent | {"id": f"a{name}", "name": name} for name in names],
    }

    async def fill(tx: Transaction) -> None:
        for table, values in rows.items():
            # Past the quotas, which count one row after the other.
            await tx._connection.execute(
                table.insert(), values, execution_options={"headgate_gated": True}
            )

    assert world.ask("POST", f"{W}/fleets", {"name": "edge"}, token).status == 201
    world.runner.run(world.database.write(MASTER, fill))
    if world.url:
        world.runner.run(analysed(world))
    return token


async def analysed(world: World) -> None:
    """Tells PostgreSQL at once what it would find out by itself after a while."""
    async with world.database._writer.begin() as connection:
        await connection.exec_driver_sql("ANALYZE resources, agents")


def explained(world: World, table: str, ask: Any) -> str:
    """The plan of the statement that reads rows of the table for a request."""
    asked: list[tuple[str, Any]] = []
    reader = world.database._reader

    def told(_c: object, _cursor: object, sql: str, values: object, *_rest: object) -> None:
        if f"FROM {table}" in sql and "ORDER BY" in sql:
            asked.append((sql, values))

    event.listen(reader.sync_engine, "before_cursor_execute", told)
    try:
        answer = ask()
    finally:
        event.remove(reader.sync_engine, "before_cursor_execute", told)
    assert (answer.status, len(answer.items)) == (200, 30 if "upstreams" in str(asked) else 100)
    ((sql, values),) = asked

    async def plan() -> str:
        async with reader.connect() as connection:
            if not world.url:
                rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
                return "\n".join(str(tuple(row)[3]) for row in rows)
            rows = await connection.exec_driver_sql(f"EXPLAIN {sql}", values)
            return "\n".join(str(row[0]) for row in rows)

    return world.runner.run(plan())


@pytest.mark.parametrize(
    ("table", "query", "index"),
    [
        ("resources", "", "uq_resources_workspace_id_path"),
        ("resources", "&kind=upstreams", "ix_resources_workspace_id_kind_path"),
        ("resources", "&set=upstreams-of-all", "ix_resources_workspace_id_set_name_path"),
        ("resources", "&name_prefix=n0", "uq_resources_workspace_id_path"),
        ("resources", "&kind=routes&name_prefix=n0", "ix_resources_workspace_id_kind_path"),
        ("resources", "&changed_by=x", "uq_resources_workspace_id_path"),
        ("resources", "&fleet=edge", "uq_resources_workspace_id_path"),
        ("agents", "", "ix_agents_workspace_id_id"),
        ("agents", "&state=new&name_prefix=n", "ix_agents_workspace_id_id"),
    ],
)
def test_a_list_is_read_in_the_order_of_an_index(
    world: World, admin: str, table: str, query: str, index: str
) -> None:
    def ask() -> Any:
        return world.ask("GET", f"{W}/{table}?limit=100{query}", token=admin)

    plan = explained(world, table, ask)
    if world.url:
        # Of few pages it may read all; what it must not do for the first hundred is sort them.
        assert "Index Scan" in plan, plan
        assert "Sort" not in plan, plan
    else:
        found = plan.replace("sqlite_autoindex_resources_2", "uq_resources_workspace_id_path")
        assert index in found, plan
        assert "TEMP B-TREE" not in plan, plan


def test_the_fixture_is_what_the_lists_show(world: World, admin: str) -> None:
    shown = world.ask("GET", f"{W}/agents?limit=1", token=admin)
    assert json.loads(shown.text)["next"]
