"""What contract tests share: each database that the master can use, and a master on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from master_world import World
from postgres import Postgres

_clusters: list[Postgres] = []


@pytest.fixture(scope="session", autouse=True)
def _no_cluster_stays() -> Iterator[None]:
    yield
    while _clusters:
        _clusters.pop().close()


def _cluster() -> Postgres:
    if not _clusters:
        _clusters.append(Postgres())
    return _clusters[0]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an empty database; empty for SQLite."""
    if request.param == "sqlite":
        yield ""
        return
    url = _cluster().database()
    yield url
    # At the end of a run, hundreds of databases would take minutes of a busy disk to remove.
    _cluster().drop(url)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    """A master on that database."""
    one = World(tmp_path, database_url)
    yield one
    one.end()
