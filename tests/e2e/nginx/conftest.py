"""What tests against the real nginx share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from nginx_alive import AliveNginx
from peers import peer
from running_node import RunningNode, Upstream, config

from headgate.engines.nginx.capabilities import Binary, probe


@pytest.fixture
def binary() -> Path:
    """The real nginx."""
    return peer("nginx")


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that every user may enter, with a path short enough for sockets in it."""
    with tempfile.TemporaryDirectory(prefix="hg-") as path:
        Path(path).chmod(0o755)
        yield Path(path)


@pytest.fixture
def alive(folder: Path, binary: Path) -> Iterator[AliveNginx]:
    """A running nginx."""
    with AliveNginx(folder, binary) as nginx:
        yield nginx


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the real nginx can do, asked once for all tests."""
    kept = tmp_path_factory.mktemp("asked")
    probe(Binary(str(peer("nginx"))), kept)
    return kept


@pytest.fixture
def probed(folder: Path, asked: Path) -> None:
    """The state directory of a node whose nginx was asked before: its start takes no seconds."""
    root = folder / "s/nginx"
    root.mkdir(parents=True)
    for path in (root.parent, root):
        path.chmod(0o755)
    for file in asked.iterdir():
        shutil.copy(file, root)


@pytest.fixture
def node(folder: Path, port: int, one: Upstream) -> Iterator[RunningNode]:
    """A node that serves `one` through nginx."""
    peer("nginx")
    text = config(port, one.address)
    with RunningNode(folder, text, "--engine", "nginx") as running:
        yield running.until_ready()
