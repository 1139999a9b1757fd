"""SQLite's driver makes one trip to its thread for each statement, and tells what went wrong."""

from pathlib import Path
from typing import Any

import aiosqlite
import loops
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from headgate.master.store.opening import sqlite


def test_a_statement_takes_one_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trips: list[Any] = []
    carry: Any = aiosqlite.Connection._execute

    async def counted(self: aiosqlite.Connection, what: Any, *values: Any) -> Any:
        trips.append(what)
        return await carry(self, what, *values)

    async def act() -> None:
        engine = sqlite(tmp_path / "db", is_writer=True)
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE t (n INTEGER UNIQUE)"))
        monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
        async with engine.begin() as connection:
            made = await connection.execute(text("INSERT INTO t VALUES (:n)"), [{"n": 1}, {"n": 2}])
            assert made.rowcount == 2
            found = await connection.execute(text("SELECT n FROM t ORDER BY n"))
            assert [tuple(row) for row in found] == [(1,), (2,)]
        assert len(trips) == 4  # begin, two statements, commit; the pool has nothing to undo
        await engine.dispose()

    loops.run(act())


def test_what_the_database_refuses_is_raised_and_undone(tmp_path: Path) -> None:
    async def act() -> None:
        engine = sqlite(tmp_path / "db", is_writer=True)
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE t (n INTEGER UNIQUE)"))
        with pytest.raises(IntegrityError):
            async with engine.begin() as connection:
                await connection.execute(text("INSERT INTO t VALUES (1)"))
                await connection.execute(text("INSERT INTO t VALUES (1)"))
        with pytest.raises(OperationalError):
            async with engine.begin() as connection:
                await connection.execute(text("SELECT n FROM nothing"))
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT count(*) FROM t"))).scalar() == 0
        await engine.dispose()

    loops.run(act())
