"""`headgate run --engine nginx`: one config, a real nginx, and what happens to it."""

import contextlib
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from peers import peer
from ports import free_port
from running_node import Load, RunningNode, Upstream, config, get
from told import answering
from waiting import DEADLINE_S, until

from headgate.engines.nginx.instance.procfs import Procfs
from headgate.engines.nginx.upkeep.rotation import MOST_BYTES


def about(node: RunningNode) -> dict[str, Any]:
    return node.engine()


def master(node: RunningNode) -> int:
    return int((node.state / "nginx/run/nginx.pid").read_text())


def workers(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def test_the_same_config_is_served_by_nginx(node: RunningNode, port: int) -> None:
    assert get(port) == (200, b"one")
    until(lambda: about(node)["drift"] == "in sync", "the first look")
    found = answering(node)
    assert (found["kind"], found["state"]) == ("nginx", "serving")
    assert (found["nginx"]["running"], found["nginx"]["boot_safe"]) == (1, True)
    last = found["last_apply"]
    assert (last["phase"], last["digest"]) == ("serving", found["digest"])
    assert found["since"] == last["at"] >= found["started_at"] > 0
    assert node.admin_status("/health") == 200


def test_requests_become_figures_under_the_names_of_the_native_engine(
    node: RunningNode, port: int
) -> None:
    for _ in range(5):
        get(port)

    def counted() -> bool:
        page = node.admin("GET", "/metrics")[1].decode()
        return 'http_requests_total{method="GET",status="200",upstream="app"} 5' in page

    until(counted, "five requests in the metrics")


def test_a_change_is_served_under_load_without_a_failure(
    node: RunningNode, port: int, two: Upstream
) -> None:
    with Load(port) as load:
        node.write(config(port, two.address))
        until(lambda: b"two" in load.answers[-4:], "the change")
    assert load.lost == []  # nginx closes idle connections of old workers
    # An old worker may answer until it is verified that none does.
    until(lambda: about(node)["nginx"]["desired"] == 2, "its proof")
    assert answering(node)["nginx"]["running"] == 2


def test_what_nginx_cannot_serve_is_refused_with_the_object_and_changes_nothing(
    node: RunningNode, port: int, one: Upstream
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        text = config(port, one.address, extra="").replace(
            f'address = "127.0.0.1:{port}"',
            f'address = ["127.0.0.1:{port}", "127.0.0.1:{taken}"]',
        )
        node.write(text)
        refused = node.command("reload")
        assert refused.returncode != 0
        assert f"127.0.0.1:{taken} is held by" in refused.stdout + refused.stderr
    assert get(port) == (200, b"one")
    assert answering(node)["nginx"]["running"] == 1


def test_a_refused_config_changes_nothing_of_what_happens_on_drift(
    folder: Path, port: int, one: Upstream
) -> None:
    peer("nginx")
    drift = 'nginx = {{ drift = {{ policy = "{}", heal_after = "100ms" }} }}\n'
    heals, reports = (drift.format(policy) for policy in ("heal", "report"))
    text = config(port, one.address, extra=heals)
    with RunningNode(folder, text, "--engine", "nginx", "--no-watch") as node:
        node.until_ready()
        node.write(text.replace(heals, f"{reports}shedding = {{ queued = 9 }}\n"))
        status, body = node.admin("POST", "/reload")
        assert (status, b"refuses no requests" in body) == (422, True), body
        file = node.state / "nginx/current/nginx.conf"
        before = file.read_text()
        file.chmod(0o640)
        file.write_text(f"{before}# by hand\n")
        until(lambda: file.read_text() == before, "the heal")


@pytest.mark.parametrize("also_workers", [True, False])
def test_a_dead_nginx_is_started_again(node: RunningNode, port: int, also_workers: bool) -> None:
    """Without a master its workers serve on, holding the sockets: they have to make room."""
    old = master(node)
    children = workers(old)
    os.kill(old, signal.SIGKILL)
    for child in children if also_workers else ():
        with contextlib.suppress(ProcessLookupError):  # the node has dismissed it already
            os.kill(child, signal.SIGKILL)
    until(lambda: about(node)["pid"] not in (None, old), "another master")
    assert get(port) == (200, b"one")
    until(lambda: node.metric("headgate_nginx_starts_total") == 1, "the count")


def test_a_killed_control_process_takes_nginx_over_again(node: RunningNode, port: int) -> None:
    old = master(node)
    control = node.status()["control"]
    assert isinstance(control, dict)
    os.kill(int(control["pid"]), signal.SIGKILL)
    assert get(port) == (200, b"one")
    until(lambda: node.admin_status("/ready") == 200, "another control process")
    assert master(node) == old
    assert answering(node)["nginx"]["running"] == 1


def test_a_release_that_cannot_start_any_more_does_not_keep_its_successor_from_it(
    folder: Path, port: int, one: Upstream
) -> None:
    """The last release names a port that another program holds by now; the config is another."""
    peer("nginx")
    held = free_port()
    with RunningNode(folder, config(held, one.address), "--engine", "nginx") as before:
        before.until_ready()
        before.process.terminate()
        assert before.process.wait(DEADLINE_S) == 0
    with socket.create_server(("127.0.0.1", held)):
        text = config(port, one.address)
        with RunningNode(folder, text, "--engine", "nginx") as after:
            after.until_ready()
            assert get(port) == (200, b"one")
            assert "control_exited" not in after.log.read_text()


def test_an_edit_by_hand_is_seen(node: RunningNode) -> None:
    release = node.state / "nginx/current/nginx.conf"
    release.chmod(0o640)
    release.write_text(release.read_text() + "# by hand\n")
    until(lambda: "nginx.conf edited" in str(about(node)["drift"]), "the drift")
    until(lambda: node.metric("headgate_nginx_drift") == 1, "the metric")


def test_a_log_that_cannot_be_rotated_ends_no_control_process(node: RunningNode) -> None:
    control = node.status()["control"]
    assert isinstance(control, dict)
    log = node.state / "nginx/logs/access.log"
    old = log.with_name("access.log.1")
    old.mkdir()
    os.truncate(log, MOST_BYTES + 1)
    until(lambda: "cannot be rotated" in about(node)["nginx"]["warning"], "the warning")
    old.rmdir()
    until(lambda: old.is_file() and log.is_file(), "the rotation")
    until(lambda: "rotated" not in about(node)["nginx"]["warning"], "the end of the warning")
    now = node.status()["control"]
    assert isinstance(now, dict)
    assert now["pid"] == control["pid"]


def test_a_hold_stops_applies_until_it_is_released(
    node: RunningNode, port: int, two: Upstream
) -> None:
    assert node.command("hold", "30m", "--reason", "night fix").returncode == 0
    node.write(config(port, two.address))
    refused = node.command("reload")
    assert refused.returncode != 0
    assert "night fix" in refused.stdout + refused.stderr
    assert get(port) == (200, b"one")
    assert "night fix" in str(about(node)["nginx"]["hold"])


def test_leaving_ends_nginx_after_the_request_in_flight(
    node: RunningNode, port: int, one: Upstream
) -> None:
    old = master(node)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n")
        assert one.waiting.wait(DEADLINE_S)
        node.process.terminate()
        until(lambda: not listens(port), "closed listeners")
        one.release.set()
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    assert node.process.wait(DEADLINE_S) == 0
    assert Procfs().look(old) is None


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
