"""The database itself: its schema, its migrations, and what happens when it is not there."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import asyncpg
import loops
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from master_world import World
from postgres import Postgres
from postgres_relay import Relay
from sqlalchemy import event, inspect
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine

from headgate.master.domains import registry
from headgate.master.store import migrate, opening
from headgate.master.store.database import _refuse_ungated
from headgate.master.store.errors import StartError
from headgate.master.store.migrate import config
from headgate.master.store.opening import prepare
from headgate.master.store.schema import METADATA
from headgate.master.store.scope import MASTER


def test_the_migrations_make_the_tables_that_the_code_declares(world: World) -> None:
    assert registry.TABLES

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    async def compared() -> list[object]:
        # Below the gate: only a test may.
        async with world.database._writer.connect() as connection:
            event.remove(world.database._writer.sync_engine, "before_execute", _refuse_ungated)
            return await connection.run_sync(differences)

    assert world.runner.run(compared()) == []


def test_a_database_of_a_newer_version_is_refused(world: World) -> None:
    _set_schema(world, "9999")
    with pytest.raises(StartError, match="a newer headgate wrote the database"):
        world.open()
    _set_schema(world, _head())
    world.open()


def _head() -> str:

    found = ScriptDirectory.from_config(config()).get_current_head()
    assert found is not None
    return found


def _set_schema(world: World, revision: str) -> None:
    world.close()
    statement = f"UPDATE alembic_version SET version_num = '{revision}'"  # noqa: S608 - ours
    if not world.url:
        with sqlite3.connect(world.directory / "master.db") as connection:
            connection.execute(statement)
        connection.close()
        return

    async def run() -> None:
        connection = await asyncpg.connect(world.url)
        await connection.execute(statement)
        await connection.close()

    world.runner.run(run())


def test_every_table_that_there_ever_was_is_known(tmp_path: Path) -> None:
    """Backups, and copies before migrations, leave out tables whose names the code has not."""
    ours = set(registry.TABLES) | {migrate.VERSIONS}
    scripts = ScriptDirectory.from_config(config())
    schemas = [one.revision for one in scripts.walk_revisions()][::-1]

    async def walk() -> None:
        engine = opening.sqlite(tmp_path / "master.db", is_writer=True)
        for schema in schemas:
            async with engine.begin() as connection:
                await connection.run_sync(migrate.upgrade, schema)
                names = await connection.run_sync(lambda one: inspect(one).get_table_names())
                assert ours.issuperset(names), schema
        await engine.dispose()

    loops.run(walk())


def test_a_directory_has_one_master(tmp_path: Path) -> None:
    prepare(tmp_path / "data")
    with pytest.raises(StartError, match="another master uses"):
        prepare(tmp_path / "data")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


@pytest.mark.timeout(300)
def test_without_its_database_the_master_stays_and_says_so(tmp_path: Path) -> None:
    """PostgreSQL is killed: 503 while it is away; what was acknowledged is there afterwards."""
    cluster = Postgres(is_durable=True)
    world = World(tmp_path, cluster.database())
    try:
        admin = world.set_up()
        path = "/organisations/main/workspaces"
        assert world.ask("POST", path, {"name": "kept"}, admin).status == 201
        cluster.kill()
        for method, where, body in (("POST", path, {"name": "lost"}), ("GET", "/workspaces", None)):
            away = world.ask(method, where, body, admin)
            assert (away.status, away.headers.get("retry-after")) == (503, "2"), away
        cluster.start()
        names = {one["name"] for one in world.ask("GET", "/workspaces", token=admin).items}
        assert names == {"default", "kept"}
        assert world.ask("POST", path, {"name": "after"}, admin).status == 201
    finally:
        world.end()
        cluster.close()


@contextlib.contextmanager
def hasty(engine: AsyncEngine, seconds: float) -> Iterator[None]:
    """For the block, has the master give up so early what it has a time for anyway."""

    def taken(connection: DBAPIConnection, *_: object) -> None:
        driver = cast(Any, connection).driver_connection
        assert driver._config.command_timeout in (opening.COMMAND_S, seconds)
        driver._config = driver._config._replace(command_timeout=seconds)

    def connecting(_dialect: object, _record: object, _args: object, options: Any) -> None:
        assert (options["timeout"], options["command_timeout"]) == (
            opening._CONNECT_S,
            opening.COMMAND_S,
        )
        options["timeout"] = seconds

    event.listen(engine.sync_engine, "checkout", taken, insert=True)
    event.listen(engine.sync_engine, "do_connect", connecting)
    try:
        yield
    finally:
        event.remove(engine.sync_engine, "checkout", taken)
        event.remove(engine.sync_engine, "do_connect", connecting)


@pytest.mark.timeout(300)
def test_a_database_that_answers_nothing_any_more_costs_no_more_than_its_time(
    tmp_path: Path,
) -> None:
    """The network drops every packet: 503 after a while, and all is well once it is back."""
    cluster = Postgres()
    with Relay(cluster.folder) as relay:
        world = World(tmp_path, relay.url(cluster.database()))
        try:
            admin = world.set_up()
            path = "/organisations/main/workspaces"
            assert world.ask("POST", path, {"name": "kept"}, admin).status == 201
            relay.cut()
            asked = (("POST", path, {"name": "lost"}), ("GET", "/workspaces", None))
            with hasty(world.database._writer, 1.0):
                for method, where, body in asked * 6:
                    away = world.ask(method, where, body, admin)
                    assert (away.status, away.headers.get("retry-after")) == (503, "2"), away
            relay.mend()
            names = {one["name"] for one in world.ask("GET", "/workspaces", token=admin).items}
            assert names == {"default", "kept"}
            assert world.ask("POST", path, {"name": "after"}, admin).status == 201
        finally:
            relay.mend()
            world.end()
            cluster.close()


def test_a_full_disk_refuses_writes_and_serves_reads(tmp_path: Path) -> None:
    world = World(tmp_path, "")
    admin = world.set_up()
    path = "/organisations/main/workspaces"

    async def limit(pages: int) -> None:
        async with world.database._writer.connect() as connection:
            raw = await connection.get_raw_connection()
            cursor = await raw.driver_connection.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[union-attr]
            await cursor.close()

    world.runner.run(limit(1))
    statuses = {
        world.ask("POST", path, {"name": f"w{number}"}, admin).status for number in range(60)
    }
    assert 503 in statuses
    assert world.ask("GET", "/workspaces", token=admin).status == 200
    world.runner.run(limit(1 << 30))
    assert world.ask("POST", path, {"name": "after"}, admin).status == 201
    world.end()


def test_connections_close_when_no_read_is_under_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that was cancelled in a read would wait for its driver for ever."""
    order: list[str] = []
    whole = AsyncEngine.dispose

    async def dispose(engine: AsyncEngine) -> None:
        order.append("closed")
        await whole(engine)

    async def play() -> None:
        entered = asyncio.Event()

        async def read() -> None:
            async with world.database.read(MASTER):
                entered.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    order.append("read")

        reading = asyncio.create_task(read())
        await entered.wait()
        closing = asyncio.create_task(world.database.close())
        for _ in range(100):  # turns of the loop
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading, closing])

    monkeypatch.setattr(AsyncEngine, "dispose", dispose)
    world.runner.run(play())
    world.open()
    assert order[:2] == ["read", "closed"]
