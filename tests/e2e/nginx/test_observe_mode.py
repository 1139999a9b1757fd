"""`mode = "observe"`: an nginx of others is watched, and nothing of it is touched."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from foreign_nginx import ForeignNginx
from nginx_container import ContainerNginx, takes_namespaces
from running_node import RunningNode, Upstream, config, get
from tls_authority import Authority
from told import until_metric, until_metric_at_least, until_metrics_say, until_status_says
from waiting import DEADLINE_S, until

from headgate.node.samples import parse

NODE = """
[node]
engine = "nginx"
admin = "off"

[node.nginx]
mode = "observe"
start = "external"
conf = "{conf}"
"""


@pytest.fixture
def theirs(folder: Path, binary: Path, one: Upstream) -> Iterator[ForeignNginx]:
    """An nginx of others with an upstream, not written by any node."""
    with ForeignNginx(folder, binary) as nginx:
        nginx.write(http=proxy(one))
        # A reload tells new workers from those that it saw before.
        until(lambda: bool(nginx.instance.workers()), "its first worker")
        nginx.reload()
        yield nginx


def proxy(one: Upstream) -> str:
    """More of its http block."""
    return f"upstream back {{ server {one.address}; }}"


@pytest.fixture
def node(folder: Path, theirs: ForeignNginx) -> Iterator[RunningNode]:
    """A node without routes that watches it."""
    with RunningNode(folder, NODE.format(conf=theirs.conf)) as running:
        yield running.until_ready()


def about(node: RunningNode) -> dict[str, Any]:
    return node.engine()


def events(node: RunningNode) -> str:
    return node.log.read_text()


def is_counted(node: RunningNode, requests: int) -> bool:
    """Whether the metrics have exactly so many requests that were answered with 200."""
    page = node.admin("GET", "/metrics")[1].decode()
    line = f'http_requests_total{{method="GET",status="200",upstream=""}} {requests}'
    return line in page.splitlines()


def test_it_is_shown_and_counted(node: RunningNode, theirs: ForeignNginx) -> None:
    found = about(node)
    assert (found["state"], found["pid"], found["last_apply"]) == ("serving", theirs.master, None)
    assert (found["nginx"]["mode"], found["nginx"]["boot_safe"]) == ("observe", None)
    upstreams = found["upstreams"]
    assert isinstance(upstreams, list)
    assert [one["name"] for one in upstreams] == ["back"]
    # It counts from where its first look at the log found the end.
    until(lambda: about(node)["drift"] == "in sync", "the first look")
    for _ in range(3):
        get(theirs.port, host="theirs.example")

    until(lambda: is_counted(node, 3), "its requests in the metrics")
    until_metric(node, "headgate_nginx_up", 1)
    until_metric_at_least(node, "proxy_active_connections", 1)
    assert node.admin_status("/health") == 200
    shown = node.command("status")
    assert shown.returncode == 0
    assert "mode observe, started by others" in shown.stdout
    assert "data plane" not in shown.stdout


def test_an_edit_is_drift_until_it_is_loaded(node: RunningNode, theirs: ForeignNginx) -> None:
    until(lambda: about(node)["drift"] == "in sync", "the first look")
    theirs.write(answer="edited")
    until(lambda: f"{theirs.conf} edited" in str(about(node)["drift"]), "the edit")
    until(lambda: node.metric("headgate_nginx_drift") == 1, "the metric")
    theirs.reload()
    until(lambda: about(node)["drift"] == "in sync", "the reload by others")
    until(lambda: "nginx was reloaded by others; changed: " in events(node), "the event")
    until_metric(node, "headgate_nginx_foreign_reloads_total", 1)
    assert get(theirs.port, host="theirs.example")[1] == b"edited"


def test_nothing_is_written_or_signalled(
    node: RunningNode, theirs: ForeignNginx, port: int, one: Upstream
) -> None:
    before = {path: path.stat().st_mtime_ns for path in theirs.folder.rglob("*.conf")}
    workers = {worker.pid for worker in theirs.instance.workers()}
    routes = "[listeners" + config(port, one.address).partition("[listeners")[2]
    node.write(NODE.format(conf=theirs.conf) + routes)
    reloaded = node.command("reload")
    assert reloaded.returncode == 0, reloaded.stderr
    until(lambda: "1 routes of the config are not served" in events(node), "the warning")
    until(lambda: "applies nothing in this mode" in str(node.status()["config"]), "the lint")
    assert {path: path.stat().st_mtime_ns for path in theirs.folder.rglob("*.conf")} == before
    assert {worker.pid for worker in theirs.instance.workers()} == workers
    assert not (node.state / "nginx/current").exists()


def test_a_restart_by_others_is_told_and_the_watch_goes_on(
    node: RunningNode, theirs: ForeignNginx
) -> None:
    theirs.stop()
    until(lambda: node.admin_status("/ready") == 503, "unreadiness")
    theirs.start()
    until(lambda: about(node)["pid"] == theirs.master, "the new master")
    until(lambda: node.metric("headgate_nginx_foreign_restarts_total") == 1, "the count")
    until(lambda: "nginx was restarted by others" in events(node), "the event")
    get(theirs.port, host="theirs.example")
    until(lambda: is_counted(node, 1), "its request in the metrics")


def test_a_node_without_an_nginx_waits_for_it(folder: Path, binary: Path) -> None:
    theirs = ForeignNginx(folder, binary)
    with RunningNode(folder, NODE.format(conf=theirs.conf)) as node:
        until(lambda: node.admin_status("/ready") == 503, "an answer")
        until(lambda: about(node)["state"] == "down", "the first config")
        until(lambda: "no nginx master" in str(about(node)["nginx"]["warning"]), "the warning")
        with theirs:
            until(lambda: node.admin_status("/ready") == 200, "its start")
            assert about(node)["pid"] == theirs.master


def test_leaving_does_not_touch_it(node: RunningNode, theirs: ForeignNginx) -> None:
    master = theirs.master
    assert node.command("drain").returncode == 0
    assert node.process.wait(DEADLINE_S) == 0
    os.kill(master, 0)
    assert get(theirs.port, host="theirs.example")[0] == 200


def test_certificates_are_shown_with_what_is_wrong_with_them(
    folder: Path, binary: Path, port: int
) -> None:
    pair = Authority(folder).issue("soon", "soon.example", days=5)
    theirs = ForeignNginx(folder, binary)
    theirs.write(
        http=f"server {{ listen 127.0.0.1:{port} ssl; server_name soon.example;"
        f" ssl_certificate {pair.cert_file}; ssl_certificate_key {pair.key_file}; }}"
    )
    with theirs, RunningNode(folder, NODE.format(conf=theirs.conf)) as node:
        node.until_ready()
        found = about(node)["nginx"]["certificates"]
        assert isinstance(found, list)
        assert [one["names"] for one in found] == [["soon.example"]]
        assert "expires_soon" in str(found[0]["problems"])
        until_status_says(node, "expires_soon")
        page = until_metrics_say(node, f'{{path="{pair.cert_file}"}} 1')
        days = parse(page).total("headgate_nginx_certificate_expiry_days")
        assert 4 < days < 6


def test_a_heal_is_refused_in_a_config(folder: Path, theirs: ForeignNginx) -> None:
    text = NODE.format(conf=theirs.conf) + 'drift = { policy = "heal" }\n'
    with RunningNode(folder, text) as node:
        assert node.process.wait(DEADLINE_S) == 78
        assert "node.nginx.drift" in node.log.read_text()


def test_an_nginx_in_another_container_is_watched_in_its_own_root(
    folder: Path, binary: Path
) -> None:
    takes_namespaces()
    with (
        ContainerNginx(folder, binary) as theirs,
        RunningNode(folder, NODE.format(conf=theirs.conf)) as node,
    ):
        node.until_ready()
        until(lambda: about(node)["drift"] == "in sync", "the first look")
        get(theirs.port)
        until(lambda: is_counted(node, 1), "its request in the metrics")
        inside = theirs.root / "etc/nginx/only_inside.conf"
        inside.write_text("add_header X-Inside no always;\n")
        until(lambda: "etc/nginx/only_inside.conf edited" in str(about(node)["drift"]), "drift")


def test_the_master_that_dies_is_told(node: RunningNode, theirs: ForeignNginx) -> None:
    workers = [worker.pid for worker in theirs.instance.workers()]
    os.kill(theirs.master, signal.SIGKILL)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    until(lambda: "nginx is gone" in events(node), "the event")
