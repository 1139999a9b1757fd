"""TCP routes on a node that drives an nginx: reloads, dead endpoints, rollbacks, what is told."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from access_log import AccessLog
from nginx_engine import stream_capabilities
from ports import dead_port, free_port
from running_node import RunningNode
from tcp_echo import Echo, talk
from told import answering, until_metric, until_metric_at_least
from waiting import DEADLINE_S, until

CONFIG = """
[node]
admin = "off"
drain = {{ deadline = "10m" }}
[node.access_log]
format = "json"
sink = {{ path = "{log}" }}

[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"

[tcp_routes.raw]
listeners = "raw"
upstream = "raw"
{route}
[upstreams.raw]
endpoints = [{endpoints}]
{upstream}
"""

pytestmark = pytest.mark.usefixtures("able", "probed")


@pytest.fixture
def able() -> None:
    """Skips the test without `stream`, or fails it in CI."""
    stream_capabilities()


@pytest.fixture
def echoes() -> Iterator[list[Echo]]:
    """Two servers, `a` and `b`."""
    both = [Echo(b"a"), Echo(b"b")]
    yield both
    for one in both:
        one.close()


def config(folder: Path, port: int, *ports: int, route: str = "", upstream: str = "") -> str:
    """A config with one TCP route to the endpoints at these ports."""
    endpoints = ", ".join(f'"127.0.0.1:{one}"' for one in ports)
    log = folder / "s/nginx/logs/asked.log"
    return CONFIG.format(log=log, port=port, endpoints=endpoints, route=route, upstream=upstream)


def started(folder: Path, text: str) -> RunningNode:
    """A node that serves a config through nginx."""
    return RunningNode(folder, text, "--engine", "nginx").until_ready()


def generation(node: RunningNode) -> object:
    """The release that nginx runs."""
    return answering(node)["nginx"]["running"]


def test_reloads_leave_connections_alone_and_lose_none(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    ports = [one.port for one in echoes]
    lost: list[str] = []
    made = [0]
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            try:
                talk(port, b"x" * 3000)
                made[0] += 1
            except (OSError, AssertionError) as error:
                lost.append(repr(error))

    with (
        started(folder, config(folder, port, *ports)) as node,
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as lasting,
    ):
        assert lasting.recv(1) in {b"a", b"b"}
        clients = [threading.Thread(target=load) for _ in range(2)]
        for one in clients:
            one.start()
        try:
            for minutes in (11, 12):
                before = made[0], generation(node)
                idle = f'timeouts = {{ idle = "{minutes}m" }}'
                node.write(config(folder, port, *ports, route=idle))
                status, body = node.admin("POST", "/reload")
                assert status == 200, body
                until(lambda: generation(node) != before[1], "another release")  # noqa: B023
                until(lambda: made[0] > before[0], "connections pass")  # noqa: B023
        finally:
            stop.set()
            for one in clients:
                one.join()
        assert lost == []
        lasting.sendall(b"still here")
        assert lasting.recv(100) == b"still here"


def test_what_operators_see(folder: Path, port: int, echoes: list[Echo]) -> None:
    with dead_port() as dead:
        ports = (dead, echoes[1].port)
        with started(folder, config(folder, port, *ports)) as node:
            until(lambda: talk(port, b"hello") == b"b", "an answer")
            name = '{{backend="raw/127.0.0.1:{}"}}'.format

            def failed() -> bool:
                assert talk(port, b"hello") == b"b"
                return node.metric(f"proxy_backend_failures_total{name(dead)}") > 0

            until(failed, "a try at the endpoint that is away")
            until_metric(node, f"proxy_backend_failures_total{name(ports[1])}", 0)
            until_metric_at_least(node, f"proxy_backend_requests_total{name(ports[1])}", 1)
            until_metric_at_least(node, 'headgate_tcp_closed_total{reason="ended"}', 1)
            assert node.admin_status("/health") == 200
            shown = node.command("status").stdout
            assert f"127.0.0.1:{dead}" in shown and f"127.0.0.1:{ports[1]}" in shown
            told = AccessLog(folder / "s/nginx/logs/asked.log").line()
            assert (told["listener"], told["route"], told["protocol"]) == ("raw", "raw", "tcp")


def test_an_endpoint_that_fails_its_checks_takes_no_connections(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    pace = 'interval = "2s", fast_interval = "200ms", timeout = "2s"'
    checked = f'health_check = {{ protocol = "tcp", {pace} }}'
    text = config(folder, port, *(one.port for one in echoes), upstream=checked)
    with started(folder, text) as node:
        until(lambda: talk(port, b"1") == b"a", "a takes connections")
        echoes[0].close()
        down = f'headgate_backend_takes_traffic{{backend="raw/127.0.0.1:{echoes[0].port}"}}'
        until(lambda: node.metric(down) == 0, "a is out")
        rendered = folder / "s/nginx/current/stream.conf"
        out = f"server 127.0.0.1:{echoes[0].port} max_fails=0 down;"
        until(lambda: out in rendered.read_text(), "a release without a")
        assert {talk(port, b"2") for _ in range(4)} == {b"b"}


def test_a_release_that_cannot_be_served_is_undone(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    good = config(folder, port, echoes[0].port)
    with started(folder, good) as node, socket.create_server(("127.0.0.1", free_port())) as taken:
        before = generation(node)
        other = config(folder, taken.getsockname()[1], echoes[1].port)
        node.write(other)
        status, body = node.admin("POST", "/reload")
        assert status != 200, body
        assert generation(node) == before
        assert talk(port, b"1") == b"a"


def test_what_nginx_cannot_do_is_told_with_its_place(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    with started(folder, config(folder, port, echoes[0].port)) as node:
        route = 'timeouts = { lifetime = "1h" }'
        node.write(config(folder, port, echoes[0].port, route=route))
        status, body = node.admin("POST", "/reload")
        assert status != 200
        (told,) = json.loads(body)["diagnostics"]
        assert told["path"] == "tcp_routes.raw.timeouts.lifetime", told
        assert "nginx has no limit" in told["message"]
        assert talk(port, b"1") == b"a"


def test_a_config_of_http_alone_gains_tcp_and_loses_it_again(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    web = free_port()
    plain = (
        f'[node]\nadmin = "off"\n[listeners.web]\naddress = "127.0.0.1:{web}"\ndefault = true\n'
        '[routes.all]\nhosts = ["*"]\nrespond.status = 204\n'
    )
    with started(folder, plain) as node:
        both = plain + config(folder, port, echoes[0].port).partition("[listeners.raw]")[2].join(
            ("[listeners.raw]", "")
        )
        node.write(both)
        assert node.admin("POST", "/reload")[0] == 200
        assert talk(port, b"1") == b"a"
        node.write(plain)
        assert node.admin("POST", "/reload")[0] == 200
        refuses = lambda: _refuses(port)  # noqa: E731
        until(refuses, "the port is closed")


def _refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
