"""Copies of a database before its migration: made if there is something to lose, and good to go
back to."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import loops
import pytest
from master_world import START_MS, opened
from postgres import Postgres
from sqlalchemy.ext.asyncio import AsyncEngine

from headgate.cli.backup_commands import _passphrase
from headgate.master.backup.automatic import before_migration
from headgate.master.backup.places import Subject, back_up_master, restore_master
from headgate.master.backup.restoring import head_of
from headgate.master.store import migrate
from headgate.master.store.copies import KEPT
from headgate.master.store.errors import StartError
from headgate.master.store.opening import FILE, Place, open_database, postgres, sqlite
from headgate.master.store.sealing import KEY_FILE, load_sealer

OLDER = "0016_failing"
ROWS = 450
"""More than two records of a backup take."""
COUNT = "SELECT count(*) FROM organisations WHERE name LIKE 'of before %'"
NEWER = "SELECT count(*) FROM log_asks"
"""Of a table that the older schema has not."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    one = Postgres()
    yield one
    one.close()


class Places:
    """Places of empty databases of one sort, each with a directory and a master's key."""

    def __init__(self, folder: Path, cluster: Postgres | None) -> None:
        self._folder = folder
        self._cluster = cluster

    def place(self, name: str) -> Place:
        directory = self._folder / name
        directory.mkdir()
        load_sealer(directory / KEY_FILE, None)
        return Place(directory, self._cluster.database() if self._cluster else "")


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Places:
    is_postgres = request.param == "postgresql"
    return Places(tmp_path, request.getfixturevalue("cluster") if is_postgres else None)


def engine_of(place: Place) -> AsyncEngine:
    return postgres(place.url) if place.url else sqlite(place.directory / FILE, is_writer=True)


def made_older(place: Place) -> None:
    """Makes what a master of an older version left."""
    rows = ", ".join(f"('o{one}', 'of before {one}', 1, 1)" for one in range(ROWS))

    async def make() -> None:
        engine = engine_of(place)
        async with engine.begin() as connection:
            await connection.run_sync(migrate.upgrade, OLDER)
            await connection.exec_driver_sql(
                f"INSERT INTO organisations (id, name, created_at, version) VALUES {rows}"  # noqa: S608 - ours
            )
        await engine.dispose()

    loops.run(make())


def schema(place: Place) -> str | None:
    async def look() -> str | None:
        engine = engine_of(place)
        async with engine.begin() as connection:
            found = await connection.run_sync(migrate.schema_of)
        await engine.dispose()
        return found

    return loops.run(look())


def started(place: Place, now_ms: int = START_MS) -> tuple[list[int], list[int]]:
    """Starts a master's database and stops it; returns how many rows an old and a new table has."""

    async def act() -> tuple[list[int], list[int]]:
        database = await opened(place, lambda: now_ms)
        try:
            return await database.numbers(COUNT), await database.numbers(NEWER)
        finally:
            await database.close()

    return loops.run(act())


def copies(place: Place) -> list[Path]:
    return sorted((place.directory / "backups").iterdir())


def brought_back(copy: Path, old: Place, new: Place) -> None:
    """Goes back to a copy as the how-to says it, with this version."""
    if not new.url:
        shutil.copy(copy, new.directory / FILE)
        return
    secret = _passphrase(old.directory / KEY_FILE, is_new=False)
    assert head_of(copy, secret).schema == OLDER, "it is one that the older version restores"
    subject = Subject(new, None, "0", lambda: START_MS)
    loops.run(restore_master(subject, copy, secret, is_replacing=False))
    first = (old.directory / KEY_FILE).read_text().split()[0]
    assert first in (new.directory / KEY_FILE).read_text()


@pytest.mark.timeout(600)
def test_an_older_database_is_copied_before_it_is_migrated(places: Places) -> None:
    old = places.place("old")
    made_older(old)
    assert started(old) == ([ROWS], [0])
    (copy,) = copies(old)
    assert copy.stem == f"before-migration-{START_MS}"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    assert started(old, START_MS + 1) == ([ROWS], [0])
    assert copies(old) == [copy], "there was nothing to migrate"

    new = places.place("new")
    brought_back(copy, old, new)
    if not new.url:
        assert schema(new) == OLDER
    assert started(new) == ([ROWS], [0])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("is_new", [True, False])
def test_masters_that_start_at_once_migrate_one_after_the_other(
    tmp_path: Path, cluster: Postgres, is_new: bool
) -> None:
    first = Places(tmp_path, cluster).place("first")
    second = Place(tmp_path / "second", first.url)
    second.directory.mkdir()
    shutil.copy(first.directory / KEY_FILE, second.directory)
    if not is_new:
        made_older(first)

    async def both() -> None:
        starts = (opened(place, lambda: START_MS) for place in (first, second))
        for database in await asyncio.gather(*starts):
            await database.close()

    loops.run(both())
    assert started(first) == ([0 if is_new else ROWS], [0])


@pytest.mark.timeout(600)
def test_a_master_whose_database_another_one_migrates_meanwhile_needs_no_copy(
    tmp_path: Path, cluster: Postgres
) -> None:
    place = Places(tmp_path, cluster).place("old")
    made_older(place)

    async def copied() -> Path:
        await (await opened(place, lambda: START_MS)).close()
        raise StartError("the tables are others now")

    async def act() -> list[int]:
        database = await open_database(place, lambda: START_MS, copied)
        try:
            return await database.numbers(COUNT)
        finally:
            await database.close()

    assert loops.run(act()) == [ROWS]


@pytest.mark.timeout(600)
def test_no_backup_reads_a_database_that_is_being_migrated(
    tmp_path: Path, cluster: Postgres
) -> None:
    place = Places(tmp_path, cluster).place("old")
    made_older(place)
    subject = Subject(place, None, "0", lambda: START_MS)

    async def act() -> None:
        engine = engine_of(place)
        async with engine.begin() as connection:
            await connection.run_sync(migrate.take_turn)
            with pytest.raises(StartError, match="is being migrated; try again"):
                await back_up_master(subject, tmp_path / "monday", b"a long passphrase")
        await engine.dispose()

    loops.run(act())
    assert not (tmp_path / "monday").exists()


def test_a_new_database_is_not_copied(places: Places) -> None:
    place = places.place("new")
    assert started(place) == ([0], [0])
    assert not (place.directory / "backups").exists()


def test_without_a_copy_nothing_is_migrated(places: Places) -> None:
    place = places.place("old")
    made_older(place)
    (place.directory / "backups").write_text("in the way")
    with pytest.raises(StartError, match=r"no copy can be made before: .*backups"):
        started(place)
    assert schema(place) == OLDER
    (place.directory / "backups").unlink()
    assert started(place) == ([ROWS], [0])
    assert len(copies(place)) == 1


def test_only_the_last_copies_stay(places: Places) -> None:
    place = places.place("old")
    made_older(place)
    folder = place.directory / "backups"
    folder.mkdir()
    for stamp in range(1, KEPT + 3):
        (folder / f"before-migration-{stamp}.db").touch()
    started(place)
    stamps = {int(one.stem.rpartition("-")[2]) for one in copies(place)}
    assert stamps == {*range(4, KEPT + 3), START_MS}


def test_a_key_of_the_environment_opens_the_copy_by_its_first_line(tmp_path: Path) -> None:
    place = Place(tmp_path)
    made_older(place)
    load_sealer(tmp_path / "first", None)
    load_sealer(tmp_path / "second", None)
    first, second = ((tmp_path / name).read_text() for name in ("first", "second"))
    subject = Subject(place, first + second, "0", lambda: START_MS)
    copy = loops.run(before_migration(subject)())
    assert head_of(copy, first.strip().encode()).master_key is None
    with pytest.raises(StartError, match="does not open with this passphrase"):
        head_of(copy, second.strip().encode())
