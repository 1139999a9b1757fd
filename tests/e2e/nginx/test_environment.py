"""A node on nginx whose config is the environment alone."""

import os
import subprocess
from pathlib import Path

import pytest
from peers import peer
from ports import free_port
from running_node import HEADGATE, RunningNode, Upstream, get
from waiting import DEADLINE_S

pytestmark = pytest.mark.usefixtures("probed")


@pytest.fixture
def environment(port: int, one: Upstream) -> dict[str, str]:
    peer("nginx")
    return {
        "PROXY_LISTEN_ADDR": f"127.0.0.1:{port}",
        "PROXY_UPSTREAM_ADDRS": f"http://{one.address}",
        "PROXY_METRICS_ADDR": f"127.0.0.1:{free_port()}",
    }


def test_the_environment_is_enough(folder: Path, port: int, environment: dict[str, str]) -> None:
    metrics = int(environment["PROXY_METRICS_ADDR"].rpartition(":")[2])
    with RunningNode(folder, None, "--engine", "nginx", **environment).until_ready():
        assert get(port) == (200, b"one")
        status, page = get(metrics, "/metrics", host="127.0.0.1")
        assert status == 200
        assert page.endswith(b"# EOF\n")


def test_a_time_that_nginx_does_not_have_is_refused_where_it_is_set(
    environment: dict[str, str],
) -> None:
    def checked(**more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(HEADGATE), "check", "--engine", "nginx"],
            env=os.environ | environment | more,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    assert checked().returncode == 0, checked().stdout
    refused = checked(PROXY_REQUEST_TIMEOUT_MS="30000")
    assert refused.returncode == 78
    assert "timeouts.request: nginx has no limit for a whole request" in refused.stdout
