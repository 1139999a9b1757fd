"""A whole node that is not root and an nginx that is, as deploy/systemd has them, without systemd.

What the units give is given here by setpriv: a user of its own, CAP_KILL, CAP_NET_BIND_SERVICE.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nginx_container import WEB, as_user, python_for_all, takes_namespaces
from ports import free_port
from running_node import Upstream, config, get
from waiting import DEADLINE_S, until

ENTRYPOINT = Path(__file__).resolve().parents[3] / "deploy/container/nginx-entrypoint.sh"
MAIN = "import sys; from headgate.cli.main import main; sys.argv[0] = 'headgate'; main()"


@pytest.fixture
def root(folder: Path) -> Path:
    """The node's nginx folder, which belongs to the node's user."""
    takes_namespaces()
    root = folder / "s" / "nginx"
    root.mkdir(parents=True)
    for path in (folder, root.parent, root):
        os.chown(path, WEB, WEB)
    return root


@pytest.fixture
def nginx(root: Path, binary: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A root master on the folder; it has nothing to serve yet."""
    own = {"PATH": f"{binary.parent}:{os.defpath}", "HEADGATE_NGINX": str(root)}
    for name in ("run", "logs"):
        (root / name).mkdir()
        os.chown(root / name, WEB, WEB)
    process = subprocess.Popen(["/bin/sh", str(ENTRYPOINT)], env=own)
    yield process
    process.send_signal(signal.SIGTERM)
    process.wait(DEADLINE_S)


def text(port: int, upstream: str) -> str:
    """A config whose nginx is started by systemd."""
    engine = 'engine = "nginx"\nnginx = { start = "systemd" }\n'
    return config(port, upstream).replace("[node]\n", f"[node]\n{engine}")


@pytest.fixture
def node(folder: Path, nginx: object) -> Iterator["list[subprocess.Popen[bytes]]"]:
    """Where a test puts its node, which ends with it."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.terminate()
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
    log = folder / "log"
    print(log.read_text() if log.exists() else "")  # noqa: T201 - shown when the test fails


def started(folder: Path, port: int, upstream: str) -> "subprocess.Popen[bytes]":
    """The node as its user."""
    python, path = python_for_all()
    (folder / "edge.toml").write_text(text(port, upstream))
    arguments = ["run", str(folder / "edge.toml"), "--state-dir", str(folder / "s")]
    setpriv = shutil.which("setpriv") or "setpriv"
    rights = as_user(WEB, "+kill,+net_bind_service")
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [setpriv, *rights, "--", python, "-B", "-c", MAIN, *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": path},
        )


def serves(port: int, body: bytes) -> bool:
    """Whether it answers so by now."""
    try:
        return get(port)[1] == body
    except OSError:
        return False


def test_it_tests_reloads_and_proves_a_root_masters_nginx(
    folder: Path,
    root: Path,
    nginx: "subprocess.Popen[bytes]",
    node: "list[subprocess.Popen[bytes]]",
    one: Upstream,
    two: Upstream,
) -> None:
    until((root / "run/nginx.pid").exists, "nginx's start")
    port = free_port()
    node.append(started(folder, port, one.address))
    until(lambda: serves(port, b"one"), "the first release")
    (folder / "edge.toml").write_text(text(port, two.address))
    until(lambda: serves(port, b"two"), "the second release")
    assert (root / "known_good").readlink().parent == Path("releases")
    assert (root / "run/nginx.pid").stat().st_uid == 0
    assert root.stat().st_uid == WEB
    assert nginx.poll() is None
