"""A whole node that drives an nginx in another container, from its first start on."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nginx_container import INSIDE, container_root, entered, takes_namespaces
from ports import free_port
from running_node import RunningNode, Upstream, config, get
from waiting import DEADLINE_S, until

ENTRYPOINT = Path(__file__).resolve().parents[3] / "deploy/container/nginx-entrypoint.sh"


@pytest.fixture
def shared(folder: Path) -> Path:
    """The folder both containers have at the same path."""
    shared = folder / "s" / "nginx"
    shared.mkdir(parents=True)
    return shared


@pytest.fixture
def container(folder: Path, shared: Path, binary: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The container, started by its entrypoint on an empty folder."""
    takes_namespaces()
    root = container_root(folder, binary, shared)
    shutil.copy(ENTRYPOINT, root / "entrypoint.sh")
    path = f"PATH={Path(INSIDE).parent}:/usr/bin:/bin"
    inside = ["/usr/bin/env", path, f"HEADGATE_NGINX={shared}", "/bin/sh", "/entrypoint.sh"]
    process = subprocess.Popen(entered(root, shared, *inside))
    yield process
    process.terminate()
    process.wait(DEADLINE_S)


def text(port: int, upstream: str) -> str:
    """A config with one route, served by the nginx beside."""
    engine = 'engine = "nginx"\nnginx = { start = "external" }\n'
    return config(port, upstream).replace("[node]\n", f"[node]\n{engine}")


def test_it_serves_what_the_node_says_and_follows_a_change(
    container: "subprocess.Popen[bytes]", folder: Path, shared: Path, one: Upstream, two: Upstream
) -> None:
    until((shared / "run/nginx.pid").exists, "nginx's first start")
    port = free_port()
    with RunningNode(folder, text(port, one.address)) as node:
        node.until_ready()
        until(lambda: get(port)[1] == b"one", "the first release")
        node.write(text(port, two.address))
        until(lambda: get(port)[1] == b"two", "the second release")
        assert container.poll() is None
        assert not Path(INSIDE).exists()
    # The node is gone; what it verified is served on.
    assert get(port)[1] == b"two"
    assert (shared / "current").readlink().parent == Path("releases")
