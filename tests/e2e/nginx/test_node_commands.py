"""The commands about a node whose traffic nginx serves: upgrade, explain, top, what may change."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peers import peer
from rich.console import Console
from running_node import Load, RunningNode, Upstream, config, get
from told import answering, until_metric, until_status_says
from waiting import until

from headgate.cli.top import draw, look

pytestmark = pytest.mark.usefixtures("probed")
ENGINE = 'engine = "nginx"'


@pytest.fixture
def node(folder: Path, port: int, one: Upstream) -> Iterator[RunningNode]:
    """A node that serves `one` through nginx, because its config says so."""
    peer("nginx")
    with RunningNode(folder, config(port, one.address, extra=ENGINE)) as running:
        yield running.until_ready()


def about(node: RunningNode) -> dict[str, Any]:
    return node.engine()


def control(node: RunningNode) -> int:
    """The pid of its control process."""
    found = node.status()["control"]
    assert isinstance(found, dict)
    return int(found["pid"])


def test_an_upgrade_replaces_the_control_process_while_nginx_serves(
    node: RunningNode, port: int
) -> None:
    before, old = answering(node), control(node)
    with Load(port) as load:
        upgraded = node.command("upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    assert load.failures == []
    until(lambda: node.admin_status("/ready") == 200, "the new control process")
    assert control(node) != old
    after = answering(node)
    assert (after["pid"], after["nginx"]["running"]) == (before["pid"], before["nginx"]["running"])
    until_metric(node, "headgate_control_restarts_total", 0)


def test_a_request_is_explained(node: RunningNode) -> None:
    said = node.command("explain", "http://a.example/x", "--output", "json")
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert found["won"]["route"] == "all"
    assert '"up"' in said.stdout  # endpoints as the running node knows them


def test_after_a_rollback_status_and_explain_speak_of_what_is_served(
    node: RunningNode, port: int, one: Upstream
) -> None:
    first = node.status()["config"]
    newer = config(port, one.address, extra=ENGINE) + "[routes.newer]\nrespond = { body = 'new' }\n"
    node.write(newer.replace('hosts = ["*"]', 'hosts = ["old.example"]'))
    assert node.command("reload").returncode == 0
    assert get(port) == (200, b"new")
    found = json.loads(node.command("explain", "http://a/", "-o", "json").stdout)
    assert found["won"]["route"] == "newer"
    assert node.command("nginx", "rollback").returncode == 0
    until(lambda: get(port) == (200, b"one"), "the older release")
    config_now = node.status()["config"]
    assert isinstance(config_now, dict)
    assert isinstance(first, dict)
    assert config_now["digest"] == first["digest"]
    assert config_now["objects"] == first["objects"]
    found = json.loads(node.command("explain", "http://a/", "-o", "json").stdout)
    assert found["won"]["route"] == "all"
    until_status_says(node, "is served, not the config that was read last")


def test_status_and_top_show_nginx_and_its_upstreams(
    node: RunningNode, port: int, one: Upstream
) -> None:
    get(port)
    until(lambda: node.metric("http_request_duration_seconds_count") == 1, "the request")
    shown = until_status_says(node, "running 1")
    assert "mode full, started by the node" in shown
    assert "boot safe   yes" in shown
    assert "generation  desired 1, on disk 1, running 1" in shown
    assert f"{one.address}  up  1 requests, 0 failures" in shown
    assert "data plane" not in shown
    console = Console(width=200, record=True)
    seen = look(node.state)
    with console.capture() as capture:
        console.print(draw(seen, seen))
    assert one.address in capture.get()


def test_another_engine_and_fixed_settings_take_a_restart(
    node: RunningNode, port: int, one: Upstream
) -> None:
    node.write(config(port, one.address))
    refused = node.command("reload")
    assert refused.returncode == 78
    assert 'the node runs with engine "nginx"; restart it to run with "native"' in refused.stderr
    assert "node.engine" in refused.stderr
    fixed = f'{ENGINE}\nnginx = {{ start = "systemd", soak = "1s" }}'
    node.write(config(port, one.address, extra=fixed))
    refused = node.command("reload")
    assert refused.returncode == 78
    for key in ("node.nginx.start", "node.nginx.soak"):
        assert f"{key}: it cannot change while the node runs; restart the node" in refused.stderr
    assert get(port) == (200, b"one")


def test_another_drift_policy_holds_at_once(node: RunningNode, port: int, one: Upstream) -> None:
    release = node.state / "nginx/current/nginx.conf"
    release.chmod(0o640)
    release.write_text(release.read_text() + "# by hand\n")
    until(lambda: "nginx.conf edited" in str(about(node)["drift"]), "the drift")
    policy = f'{ENGINE}\nnginx = {{ drift = {{ heal_after = "100ms" }} }}'
    node.write(config(port, one.address, extra=policy))
    until(lambda: "# by hand" not in release.read_text(), "the heal")
