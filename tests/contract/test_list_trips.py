"""What one list costs the database: few statements, and few trips beside them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from asgi import ask
from master_world import ROUTE, World
from postgres import Postgres
from postgres_relay import Relay
from sqlalchemy import event
from waiting import DEADLINE_S, until

from headgate.master.store import opening

W = "/workspaces/default"


def listed(world: World, token: str) -> None:
    answer = world.ask("GET", f"{W}/resources?limit=100", token=token)
    assert (answer.status, len(answer.items)) == (200, 1)


def peopled(world: World) -> tuple[str, str]:
    """An object; the token of a session and one of the API."""
    admin = world.set_up()
    assert world.ask("PUT", f"{W}/resources/routes/a", {"spec": ROUTE}, admin).status == 200
    made = world.ask("POST", "/tokens", {"name": "t", "role": "viewer", "days": 1}, admin)
    return admin, made["secret"]


def test_a_list_takes_a_statement_for_the_caller_one_for_the_workspace_and_one_for_its_page(
    world: World,
) -> None:
    said: list[str] = []

    def told(_c: object, _cursor: object, sql: str, *_rest: object) -> None:
        said.append(sql)

    for token in peopled(world):
        listed(world, token)
        reader = world.database._reader.sync_engine
        event.listen(reader, "before_cursor_execute", told)
        try:
            listed(world, token)
        finally:
            event.remove(reader, "before_cursor_execute", told)
        statements = [one for one in said if one.startswith("SELECT")]
        assert len(statements) == 3, statements
        # With PostgreSQL, reads go without a transaction.
        assert said.count("BEGIN") == (1 if world.database.is_sqlite else 0), said
        said.clear()


def test_a_list_takes_a_trip_to_sqlite_for_each_statement_and_two_for_its_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: list[object] = []
    carry: Any = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, what: object, *values: object) -> object:
        trips.append(what)
        return await carry(self, what, *values)

    world = World(tmp_path, "")
    try:
        admin, _ = peopled(world)
        listed(world, admin)
        monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
        listed(world, admin)
        assert len(trips) == 5
    finally:
        world.end()


def test_lists_go_on_after_clients_that_left_in_the_middle_of_one(world: World) -> None:
    admin, _ = peopled(world)
    listed(world, admin)
    headers = {"authorization": f"Bearer {admin}"}

    async def left() -> None:
        for turns in range(30):
            asked = asyncio.create_task(
                ask(world.app, "GET", f"/api/v1{W}/resources", b"", headers)
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.wait([asked])

    world.runner.run(left())
    for _ in range(8):  # as many as there are connections, twice
        listed(world, admin)


@pytest.fixture
def relay() -> Iterator[tuple[Relay, str, Postgres]]:
    cluster = Postgres(is_durable=True)
    try:
        with Relay(cluster.folder) as one:
            yield one, one.url(cluster.database()), cluster
    finally:
        cluster.close()


@pytest.mark.parametrize(("trusted_s", "trips"), [(DEADLINE_S, 3), (0.0, 6)])
def test_a_list_takes_a_trip_for_each_statement_and_one_to_ask_an_idle_connection(
    relay: tuple[Relay, str, Postgres],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trusted_s: float,
    trips: int,
) -> None:
    monkeypatch.setattr(opening, "_TRUSTED_S", trusted_s)
    between, url, _ = relay
    world = World(tmp_path, url)
    try:
        admin, _ = peopled(world)
        listed(world, admin)  # prepares the statements
        before = between.trips
        listed(world, admin)
        assert between.trips - before == trips
    finally:
        world.end()


def test_reads_go_on_with_a_database_that_was_away(
    relay: tuple[Relay, str, Postgres], tmp_path: Path
) -> None:
    _, url, cluster = relay
    world = World(tmp_path, url)
    try:
        admin, _ = peopled(world)
        listed(world, admin)
        cluster.kill()
        # The server's children leave a moment after it.
        until(
            lambda: world.ask("GET", f"{W}/resources", token=admin).status == 503,
            "nothing answers any more",
        )
        cluster.start()
        listed(world, admin)
    finally:
        world.end()
