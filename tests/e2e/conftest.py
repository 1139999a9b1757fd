"""What end-to-end tests share: upstreams, a free port, short paths for Unix sockets."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import dead_port, free_port
from running_node import Upstream


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder whose path is short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="hg-") as path:
        yield Path(path)


@pytest.fixture
def port() -> int:
    """A free port."""
    return free_port()


@pytest.fixture
def dead() -> Iterator[int]:
    """A port that refuses connections."""
    with dead_port() as port:
        yield port


@pytest.fixture
def one() -> Iterator[Upstream]:
    """An upstream that answers `one`."""
    upstream = Upstream("one")
    yield upstream
    upstream.close()


@pytest.fixture
def two() -> Iterator[Upstream]:
    """An upstream that answers `two`."""
    upstream = Upstream("two")
    yield upstream
    upstream.close()
