"""A node whose nginx is stopped, killed or cut off: not ready, says why, and heals."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nginx_alive import AliveNginx
from peers import peer
from running_node import RunningNode, Upstream, config, get
from told import until_metric
from waiting import until

from headgate.engines.nginx.apply.bootsafe import DiskTests
from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.health.trouble import Health, trouble
from headgate.engines.nginx.instance.procfs import Procfs


@pytest.fixture
def node(folder: Path, port: int, one: Upstream) -> Iterator[RunningNode]:
    """A node on nginx that is ready."""
    peer("nginx")
    with RunningNode(folder, config(port, one.address), "--engine", "nginx") as found:
        found.until_ready()
        yield found


def about(node: RunningNode) -> dict[str, Any]:
    return node.engine()


def master(node: RunningNode) -> int:
    return int(str(about(node)["pid"] or 0))


def workers(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def ready(node: RunningNode) -> tuple[int, str]:
    status, body = node.admin("GET", "/ready")[:2]
    return status, body.decode()


def is_unready(node: RunningNode, words: str) -> bool:
    status, text = ready(node)
    return status == 503 and words in text


@pytest.mark.parametrize("which", ["master", "worker"])
def test_a_stopped_process_makes_the_node_unready_until_it_goes_on(
    node: RunningNode, which: str
) -> None:
    pid = master(node) if which == "master" else workers(master(node))[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: is_unready(node, f"kill -CONT {pid}"), "not ready, with the reason")
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: ready(node)[0] == 200, "ready again")


def test_a_status_socket_that_was_removed_is_told_and_made_again(
    node: RunningNode, port: int
) -> None:
    old = master(node)
    (node.state / "nginx/run/status.sock").unlink()
    gone = "status.sock is missing"

    def is_told() -> bool:
        # It is mended at once: whoever asks too late reads in the log why the node was not ready.
        return is_unready(node, gone) or gone in node.log.read_text()

    until(is_told, "not ready, with the reason")
    until((node.state / "nginx/run/status.sock").is_socket, "the socket")
    until(lambda: ready(node)[0] == 200, "ready again")
    assert master(node) == old
    assert get(port) == (200, b"one")


def test_nginx_starts_again_once_its_folders_are_gone(node: RunningNode, port: int) -> None:
    old = master(node)
    shutil.rmtree(node.state / "nginx/logs")
    os.kill(old, signal.SIGKILL)
    until(lambda: ready(node)[0] == 200 and master(node) not in {0, old}, "another master")
    assert get(port) == (200, b"one")


def test_a_killed_master_is_replaced_without_waiting_for_its_sockets(node: RunningNode) -> None:
    """Orphans that had not yet closed the status socket kept the next master away for 12.7 s."""
    seen: set[int] = set()
    took_s = []
    for _ in range(3):
        old = master(node)
        seen.add(old)
        began = time.monotonic()
        os.kill(old, signal.SIGKILL)
        until(lambda: master(node) not in {0, *seen} and ready(node)[0] == 200, "another master")
        took_s.append(time.monotonic() - began)
    assert min(took_s) < 10, "each of them waited"
    until_metric(node, "headgate_nginx_starts_total", 3)


def test_nginx_starts_where_dns_is_away(folder: Path, port: int, one: Upstream) -> None:
    """The name has no answer any more; what it led to last is in the release."""
    peer("nginx")
    node = RunningNode(folder, config(port, f"gone.invalid:{one.port}"), "--engine", "nginx")
    (node.state / "nginx").mkdir(parents=True)
    (node.state / "nginx/addresses.json").write_text('{"gone.invalid": ["127.0.0.1"]}')
    with node:
        node.until_ready()
        assert get(port) == (200, b"one")
        assert about(node)["nginx"]["boot_safe"] is True
        old = master(node)
        os.kill(old, signal.SIGKILL)
        until(lambda: master(node) not in {0, old} and ready(node)[0] == 200, "another master")
        assert get(port) == (200, b"one")


def test_a_release_with_a_name_is_not_safe_for_a_boot(alive: AliveNginx) -> None:
    alive.write("one", "upstream named { server gone.invalid:1; }")
    problem = DiskTests(alive.instance).problem("1-abc", str(alive.conf))
    assert "1-abc would not start without a network" in problem
    assert "gone.invalid" in problem
    alive.write("one")
    assert DiskTests(alive.instance).problem("1-abc", str(alive.conf)) == ""


def test_no_live_worker_is_no_nginx() -> None:
    me = Process(os.getpid(), 0)
    found = trouble(me, (Process(2, 0, shutting_down=True),), None, Procfs())
    assert "no worker" in found


def test_what_is_seen_once_is_not_told_yet() -> None:
    told: list[str] = []
    health = Health(lambda _level, kind, _message, _fields: told.append(kind))
    health.saw("no worker")
    assert (health.trouble, told) == ("", [])
    health.saw("no worker")
    assert (health.trouble, told) == ("no worker", ["nginx.unready"])
    health.saw("")
    assert (health.trouble, told) == ("", ["nginx.unready", "nginx.ready"])
