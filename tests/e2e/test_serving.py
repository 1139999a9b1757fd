"""A node from its start to its end."""

import http.client
import json
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from ports import free_port
from resident import own_kib
from running_node import HEADGATE, RunningNode, Upstream, config, get
from told import until_metrics_say
from waiting import DEADLINE_S, until


def test_a_node_serves_and_says_so(folder: Path, port: int, one: Upstream) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        assert get(port) == (200, b"one")
        status = node.status()
        assert status["ready"] is True
        assert node.admin("GET", "/live")[0] == 200
        health = json.loads(node.admin("GET", "/health")[1])
        assert health["upstreams"][0]["endpoints"][0]["address"] == one.address
        page = until_metrics_say(node, "http_requests_total{")
        assert page.endswith("# EOF\n")
        families = [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")]
        assert len(families) == len(set(families))
        document = json.loads(node.admin("GET", "/config")[1])
        assert {entry["kind"] for entry in document["objects"]} >= {"listener", "route", "upstream"}


def test_the_supervisor_stays_under_12_mb(folder: Path, port: int, one: Upstream) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        assert own_kib(node.process.pid) < 3_500_000 // 1024


def test_the_environment_is_enough(folder: Path, port: int, one: Upstream) -> None:
    metrics = free_port()
    environment = {
        "PROXY_LISTEN_ADDR": f"127.0.0.1:{port}",
        "PROXY_UPSTREAM_ADDRS": f"http://{one.address}",
        "PROXY_METRICS_ADDR": f"127.0.0.1:{metrics}",
    }
    with RunningNode(folder, None, **environment).until_ready():
        assert get(port) == (200, b"one")
        assert get(metrics, "/health", host="127.0.0.1")[0] == 200
        status, page = get(metrics, "/metrics", host="127.0.0.1")
        assert status == 200
        assert page.endswith(b"# EOF\n")


class _FewDescriptors(RunningNode):
    program = ("sh", "-c", 'ulimit -n 128; exec "$0" "$@"', str(HEADGATE))


def test_one_user_cannot_keep_the_others_from_the_admin_api(
    folder: Path, port: int, one: Upstream
) -> None:
    admin = free_port()
    text = config(port, one.address)
    with _FewDescriptors(folder, text, "--admin", f"127.0.0.1:{admin}").until_ready() as node:
        idle = [socket.create_connection(("127.0.0.1", admin), DEADLINE_S) for _ in range(200)]
        assert get(admin, "/ready", host="127.0.0.1")[0] == 200
        assert node.admin("POST", "/reload")[0] == 200
        assert node.status()["ready"] is True
        for connection in idle:
            connection.close()


def test_by_tcp_a_stranger_learns_and_changes_nothing(
    folder: Path, port: int, one: Upstream
) -> None:
    admin = free_port()
    token = "a-token-of-this-test"  # noqa: S105 - it opens this test's node only
    text = config(port, one.address).replace("[node]", '[node]\nadmin_token = "${env:TOKEN}"')
    node = RunningNode(folder, text, "--admin", f"127.0.0.1:{admin}", TOKEN=token)
    with node.until_ready():
        assert get(admin, "/metrics", host="127.0.0.1")[0] == 200
        for path in ("/status", "/config", "/events?follow=false"):
            assert get(admin, path, host="127.0.0.1")[0] == 401
        connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=DEADLINE_S)
        for method, path in (("POST", "/drain"), ("POST", "/reload"), ("POST", "/explain")):
            connection.request(method, path)
            response = connection.getresponse()
            assert (response.status, b"admin_token" in response.read()) == (401, True)
        connection.request("GET", "/status", headers={"authorization": f"Bearer {token}"})
        shown = connection.getresponse()
        assert (shown.status, json.loads(shown.read())["ready"]) == (200, True)
        assert token.encode() not in node.admin("GET", "/config")[1]
        connection.close()


def test_a_token_in_a_file_opens_the_admin_api_until_the_file_changes(
    folder: Path, port: int, one: Upstream
) -> None:
    admin, file = free_port(), folder / "token"
    text = config(port, one.address).replace("[node]", '[node]\nadmin_token = { file = "token" }')

    def asked(token: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=DEADLINE_S)
        connection.request("GET", "/status", headers={"authorization": f"Bearer {token}"})
        status = connection.getresponse().status
        connection.close()
        return status

    tokens = ("the-first-of-two-tokens", "the-other-of-two-tokens")
    file.touch(0o600)
    file.write_text(tokens[0])
    node = RunningNode(folder, text, "--admin", f"127.0.0.1:{admin}")
    with node.until_ready():
        assert [asked(token) for token in tokens] == [200, 401]
        file.write_text(tokens[1])
        until(lambda: asked(tokens[1]) == 200, what="the new token")
        assert asked(tokens[0]) == 401
        shown = node.admin("GET", "/config")[1].decode() + node.log.read_text()
        assert not any(token in shown for token in tokens)


def test_web_pages_cannot_reach_the_admin_api(folder: Path, port: int, one: Upstream) -> None:
    admin = free_port()
    text = config(port, one.address)
    with RunningNode(folder, text, "--admin", f"127.0.0.1:{admin}").until_ready():
        assert get(admin, "/health", host="127.0.0.1")[0] == 200
        assert get(admin, "/health", host="evil.example")[0] == 403
        connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=DEADLINE_S)
        connection.request("GET", "/ready", headers={"origin": "http://evil.example"})
        assert connection.getresponse().status == 403
        connection.close()


def test_a_bad_first_config_is_refused_with_everything_that_is_wrong(
    folder: Path, port: int
) -> None:
    text = config(port, "nonsense").replace("hosts", "hsts")
    with RunningNode(folder, text) as node:
        assert node.process.wait(DEADLINE_S) == 78
        said = node.log.read_text()
        assert f"{node.config}:" in said
        assert "hsts" in said
        assert "nonsense" in said


def test_a_busy_port_is_refused_and_its_holder_named(
    folder: Path, one: Upstream, two: Upstream
) -> None:
    with RunningNode(folder, config(two.port, one.address)) as node:
        assert node.process.wait(DEADLINE_S) == 78
        said = node.log.read_text()
        assert "listeners.web.address" in said
        assert "address already in use (held by" in said


def test_a_second_node_on_the_same_state_is_refused(folder: Path, port: int, one: Upstream) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        second = subprocess.run(
            [HEADGATE, "run", str(node.config), "--state-dir", str(node.state)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert second.returncode == 1
        assert "another node" in second.stderr


def test_drain_finishes_what_is_in_flight(folder: Path, port: int, one: Upstream) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        answers: list[tuple[int, bytes]] = []
        request = threading.Thread(target=lambda: answers.append(get(port, "/slow")), daemon=True)
        request.start()
        assert one.waiting.wait(DEADLINE_S)
        node.process.send_signal(signal.SIGTERM)
        until(lambda: node.admin_status("/ready") != 200, "not ready")
        one.release.set()
        request.join()
        assert answers == [(200, b"one")]
        assert node.process.wait(DEADLINE_S) == 0
        with pytest.raises(ConnectionRefusedError):
            get(port)


def test_drain_by_command_returns_when_the_node_has_ended(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        assert node.command("drain").returncode == 0
        assert node.process.wait(DEADLINE_S) == 0


def test_a_second_signal_does_not_wait(folder: Path, port: int, one: Upstream) -> None:
    # A drain goes on for longer than any of us waits; only the second signal ends it before.
    text = config(port, one.address)
    with RunningNode(folder, text).until_ready() as node:
        is_cut_off = threading.Event()

        def ask() -> None:
            try:
                get(port, "/slow")
            except (ConnectionError, http.client.HTTPException):
                is_cut_off.set()

        request = threading.Thread(target=ask, daemon=True)
        request.start()
        assert one.waiting.wait(DEADLINE_S)
        node.process.send_signal(signal.SIGTERM)
        node.process.send_signal(signal.SIGINT)
        assert node.process.wait(DEADLINE_S) == 0
        request.join()
        assert is_cut_off.is_set()  # neither answered nor given up by the client
