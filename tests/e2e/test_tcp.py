"""TCP routes: real databases and caches behind a node, reloads under load, dead endpoints."""

import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from access_log import AccessLog
from chance import likely
from peers import peer
from ports import free_port
from postgres import Postgres
from running_node import RunningNode
from tcp_echo import Echo, talk
from told import until_metric_at_least
from waiting import DEADLINE_S, until


def config(port: int, endpoints: str, *, extra: str = "") -> str:
    """A config with one TCP route to these endpoints."""
    return f"""
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"

[tcp_routes.raw]
listeners = ["raw"]
upstream = "raw"

[upstreams.raw]
endpoints = [{endpoints}]
{extra}
"""


def run(*command: str, folder: Path | None = None) -> str:
    """What a command prints; fails if the command does."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE_S, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def echoes() -> Iterator[list[Echo]]:
    """Two servers, `a` and `b`."""
    both = [Echo(b"a"), Echo(b"b")]
    yield both
    for one in both:
        one.close()


def at(*echoes: Echo) -> str:
    """The endpoints of servers, as the config has them."""
    return ", ".join(f'"127.0.0.1:{one.port}"' for one in echoes)


def until_more(made: list[int]) -> None:
    """Waits until a counter has grown."""
    before = made[0]
    until(lambda: made[0] > before, "connections pass")


def test_a_postgresql_is_used_through_a_route(folder: Path, port: int) -> None:
    server = Postgres()
    try:
        # The data plane may not do more than others.
        server.folder.chmod(0o755)
        endpoint = f'"unix:{server.folder}/.s.PGSQL.5432"'
        with RunningNode(folder, config(port, endpoint)).until_ready() as node:
            at = ("-h", "127.0.0.1", "-p", str(port), "-U", "postgres")
            assert run("psql", *at, "-Atc", "SELECT 6 * 7", "postgres").strip() == "42"
            much = run("psql", *at, "-Atc", "SELECT repeat('x', 3000000)", "postgres")
            assert len(much) == 3_000_001
            run("pgbench", *at, "-i", "-q", "postgres")
            said = run("pgbench", *at, "-c", "4", "-j", "2", "-t", "50", "postgres")
            assert "number of transactions actually processed: 200/200" in said
            assert "number of failed transactions: 0" in said
            until(lambda: node.metric("headgate_tcp_connections") == 0, "every client has left")
    finally:
        server.close()


@contextmanager
def redis(folder: Path) -> Iterator[int]:
    """A Redis without a disk; yields its port."""
    port = free_port()
    command = [str(peer("redis-server")), "--port", str(port), "--bind", "127.0.0.1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(
        [*command, "--save", "", "--appendonly", "no", "--dir", str(folder)],
        **quiet,  # type: ignore[call-overload]
    ) as server:
        try:
            until(lambda: _is_open(port), "Redis listens")
            yield port
        finally:
            server.kill()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_redis_is_used_through_a_route(folder: Path, port: int) -> None:
    benchmark = str(peer("redis-benchmark"))
    with (
        redis(folder) as upstream,
        RunningNode(folder, config(port, f'"127.0.0.1:{upstream}"')).until_ready(),
    ):
        at = ("-h", "127.0.0.1", "-p", str(port))
        assert run("redis-cli", *at, "set", "k", "v").strip() == "OK"
        assert run("redis-cli", *at, "get", "k").strip() == "v"
        said = run(benchmark, *at, "-n", "2000", "-c", "20", "-P", "4", "-q", "-t", "set,get")
        assert "SET:" in said and "GET:" in said and "rror" not in said


def test_reloads_leave_connections_alone_and_lose_none(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    ports = ", ".join(f'"127.0.0.1:{one.port}"' for one in echoes)
    lost: list[str] = []
    stop = threading.Event()
    made = [0]

    def load() -> None:
        while not stop.is_set():
            try:
                talk(port, b"x" * 3000)
                made[0] += 1
            except (OSError, AssertionError) as error:
                lost.append(repr(error))

    with (
        RunningNode(folder, config(port, ports)).until_ready() as node,
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as lasting,
    ):
        assert lasting.recv(1) in {b"a", b"b"}
        clients = [threading.Thread(target=load) for _ in range(3)]
        for one in clients:
            one.start()
        try:
            for n in range(8):
                idle = f'[tcp_routes.raw.timeouts]\nidle = "{n + 10}m"'
                node.write(config(port, ports, extra=idle))
                status, body = node.admin("POST", "/reload")
                assert status == 200, body
                until_more(made)
        finally:
            stop.set()
            for one in clients:
                one.join()
        assert lost == []
        lasting.sendall(b"still here")
        assert lasting.recv(100) == b"still here"


def test_an_endpoint_that_dies_takes_its_own_connections_alone(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    ports = ", ".join(f'"127.0.0.1:{one.port}"' for one in echoes)
    with RunningNode(folder, config(port, ports)).until_ready() as node:
        until(lambda: talk(port, b"1") == b"a", "a takes connections")
        echoes[0].close()
        assert {talk(port, b"2") for _ in range(12)} == {b"b"}
        assert node.admin_status("/health") == 200
        backend = re.escape(f'{{backend="raw/127.0.0.1:{echoes[0].port}"}}')
        until_metric_at_least(node, f"proxy_backend_failures_total{backend}", 1)


def test_connections_are_split_by_weight(folder: Path, port: int, echoes: list[Echo]) -> None:
    def text(split: str, more: str = "") -> str:
        log = f'access_log = {{ format = "json", sink = {{ path = "{folder}/access.log" }} }}'
        made = config(port, at(echoes[0])).replace("[node]", f"[node]\n{log}")
        made = made.replace('upstream = "raw"', f"split = [{split}]\n{more}")
        return f"{made}[upstreams.new]\nendpoints = [{at(echoes[1])}]\n"

    def parts(old: int, new: int) -> str:
        return f'{{ upstream = "raw", weight = {old} }}, {{ upstream = "new", weight = {new} }}'

    def clients() -> dict[str, bytes]:
        sources = [f"127.0.1.{n}" for n in range(1, 41)]
        return {one: talk(port, b"x", source=one) for one in sources}

    with RunningNode(folder, text(parts(3, 1))).until_ready() as node:
        drawn = [talk(port, b"x") for _ in range(200)]
        assert drawn.count(b"b") in likely(200, 1 / 4)
        lines = AccessLog(folder / "access.log").lines(len(drawn))
        logged = [one["upstream"] for one in lines]
        assert len(logged) == len(drawn)
        assert logged.count("new") == drawn.count(b"b")

        sticky = 'sticky = { by = "client_ip" }'
        node.write(text(parts(3, 1), sticky))
        assert node.admin("POST", "/reload")[0] == 200
        first = clients()
        assert clients() == first, "a client stays"
        node.write(text(parts(1, 1), sticky))
        assert node.admin("POST", "/reload")[0] == 200
        then = clients()
        moved = {(first[one], then[one]) for one in first if first[one] != then[one]}
        assert moved <= {(b"a", b"b")}, "none comes back from the branch that got more"
        node.write(text(parts(0, 1), sticky))
        assert node.admin("POST", "/reload")[0] == 200
        assert set(clients().values()) == {b"b"}


def test_the_access_log_tells_of_connections(folder: Path, port: int, echoes: list[Echo]) -> None:
    endpoint = f"127.0.0.1:{echoes[0].port}"
    log = f'[node.access_log]\nformat = "json"\nsink = {{ path = "{folder}/access.log" }}'
    text = config(port, f'"{endpoint}"', extra=log)
    with RunningNode(folder, text).until_ready():
        talk(port, b"hello")
        (line,) = AccessLog(folder / "access.log").lines(1)
        assert (line["client_ip"], line["listener"], line["route"]) == ("127.0.0.1", "raw", "raw")
        assert (line["upstream"], line["endpoint"], line["protocol"]) == ("raw", endpoint, "tcp")
        assert (line["bytes_in"], line["bytes_out"]) == (5, 6)
        assert line["reason"] == "client-end"


def test_the_access_log_names_an_upstream_that_has_gone(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    log = f'[node.access_log]\nformat = "json"\nsink = {{ path = "{folder}/access.log" }}'
    text = config(port, f'"127.0.0.1:{echoes[0].port}"', extra=log)
    with (
        RunningNode(folder, text, "--no-watch").until_ready() as node,
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as link,
    ):
        assert link.recv(1) == b"a"
        before, after = "[upstreams.raw]", "[upstreams.new]"
        node.write(text.replace(before, after).replace('upstream = "raw"', 'upstream = "new"'))
        status, body = node.admin("POST", "/reload")
        assert status == 200, body
        link.shutdown(socket.SHUT_WR)
        (line,) = AccessLog(folder / "access.log").lines(1)
        assert (line["route"], line["upstream"]) == ("raw", "raw")
        assert line["endpoint"] == f"127.0.0.1:{echoes[0].port}"
