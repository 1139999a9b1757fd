"""What contract tests share: each database that the master can use, and a master on it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import loops
import pytest
from fleet_site import Site, sited
from master_world import START_MS, World, opened
from postgres import Postgres

from headgate.master.store.opening import FILE, Place

_clusters: list[Postgres] = []
_migrated: list[str] = []
"""The address of a database with the newest schema, once there is one."""


@pytest.fixture(scope="session", autouse=True)
def _no_cluster_stays() -> Iterator[None]:
    yield
    while _clusters:
        _clusters.pop().close()


def _cluster() -> Postgres:
    if not _clusters:
        _clusters.append(Postgres())
    return _clusters[0]


def _migrate(place: Place) -> None:
    """Makes what a first start makes; each test begins with a copy, as migrations take longer."""

    async def act() -> None:
        await (await opened(place, lambda: START_MS)).close()

    loops.run(act())


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of SQLite with the newest schema."""
    folder = tmp_path_factory.mktemp("migrated")
    _migrate(Place(folder))
    return folder / FILE


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(
    request: pytest.FixtureRequest, migrated_file: Path, tmp_path: Path
) -> Iterator[str]:
    """The address of a database with the newest schema; empty for SQLite, in `tmp_path`."""
    if request.param == "sqlite":
        shutil.copy(migrated_file, tmp_path / FILE)
        yield ""
        return
    if not _migrated:
        template = _cluster().database()
        _migrate(Place(tmp_path, template))
        _migrated.append(template)
    url = _cluster().database(_migrated[0])
    with _cluster().shown():
        yield url
    # At the end of a run, hundreds of databases would take minutes of a busy disk to remove.
    _cluster().drop(url)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    """A master on that database."""
    one = World(tmp_path, database_url)
    yield one
    one.end()


@pytest.fixture
def site(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A fleet of the world, whose commands reach its master without a socket."""
    return sited(world, tmp_path, monkeypatch)
