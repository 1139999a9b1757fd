"""UDP routes: a real name server behind a node, any datagram, many clients, closed ports."""

import random
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from access_log import AccessLog
from datagram_servers import Echo, closed_port, dig, name_server
from running_node import RunningNode
from told import until_metric
from waiting import DEADLINE_S, until


def config(port: int, endpoints: str, *, route: str = "", flows: int = 16_384) -> str:
    """A config with one UDP route to these endpoints."""
    return f"""
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "udp"
limits = {{ flows = {flows} }}

[upstreams.raw]
endpoints = [{endpoints}]

[udp_routes.raw]
listeners = ["raw"]
upstream = "raw"
{route}
"""


@pytest.fixture
def echo() -> Iterator[Echo]:
    """An endpoint."""
    one = Echo()
    yield one
    with suppress(OSError):
        one.close()


@contextmanager
def client(port: int, *, wait_s: float = DEADLINE_S) -> Iterator[socket.socket]:
    """A client of one port, whose datagrams go to the node."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(wait_s)
        one.connect(("127.0.0.1", port))
        yield one


def ask(one: socket.socket, data: bytes) -> bytes:
    """What comes back for a datagram."""
    one.send(data)
    return one.recv(65_536)


def answers(port: int) -> bool:
    """Whether the node passes a datagram there and back within a moment."""
    with client(port, wait_s=0.2) as one, suppress(OSError):
        return ask(one, b"?") == b"?"
    return False


def test_a_name_server_is_asked_over_udp_and_tcp_at_one_port(folder: Path, port: int) -> None:
    with name_server(folder) as upstream:
        text = (
            config(port, f'"127.0.0.1:{upstream}"', route="answers = 1")
            + f"""
[listeners.tcp]
address = "127.0.0.1:{port}"
protocol = "tcp"

[tcp_routes.raw]
listeners = "tcp"
upstream = "raw"
"""
        )
        with RunningNode(folder, text).until_ready() as node:
            patient = f"+timeout={DEADLINE_S:g}"
            assert dig(port, "www.test", "+short", patient).split() == ["192.0.2.7"]
            assert dig(port, "www.test", "AAAA", "+short", patient).split() == ["2001:db8::7"]
            assert "status: REFUSED" in dig(port, "none.test", patient)
            assert dig(port, "www.test", "+short", "+tcp", patient).split() == ["192.0.2.7"]
            # Too long for a datagram of 512 bytes: dig asks again over TCP, at the same port.
            said = dig(port, "long.test", "TXT", "+noedns", patient)
            assert "Truncated, retrying in TCP mode" in said
            assert said.count(f'"{"0" * 150}') == 12
            until(lambda: node.metric("headgate_udp_flows") == 0, "each flow ends with its answer")
            closed = 'headgate_udp_closed_total{reason="answered"}'
            opened = "headgate_udp_flows_opened_total"
            until(lambda: node.metric(closed) == node.metric(opened) >= 4, "each is counted")


def test_random_datagrams_pass_byte_for_byte(folder: Path, port: int, echo: Echo) -> None:
    chance = random.Random(12)  # noqa: S311 - bytes of a test
    sizes = [0, 1, 65_507] + [chance.randrange(1, 2000) for _ in range(150)]
    sizes += [chance.randrange(65_508) for _ in range(50)]
    chance.shuffle(sizes)
    with (
        RunningNode(folder, config(port, f'"127.0.0.1:{echo.port}"')).until_ready() as node,
        client(port) as one,
        client(port) as other,
    ):
        for size in sizes:
            mine, theirs = chance.randbytes(size), chance.randbytes(40)
            other.send(theirs)
            assert ask(one, mine) == mine
            assert other.recv(65_536) == theirs
        received = sum(sizes) + 40 * len(sizes)
        until_metric(node, 'headgate_udp_bytes_total{direction="received"}', received)
        sent = 'headgate_udp_datagrams_total{direction="sent"}'
        until(lambda: node.metric(sent) == 2 * len(sizes), "every answer is counted")
        until_metric(node, "proxy_bytes_received_total", received)
        until_metric(node, "headgate_udp_flows", 2)
        until_metric(node, "proxy_active_connections", 2)
        assert len(echo.peers) == 2


def test_flows_survive_reloads_of_something_else(folder: Path, port: int, echo: Echo) -> None:
    endpoint = f'"127.0.0.1:{echo.port}"'
    with (
        RunningNode(folder, config(port, endpoint)).until_ready() as node,
        client(port) as one,
    ):
        assert ask(one, b"before") == b"before"
        for n in range(6):
            node.write(config(port, endpoint, route=f'timeouts = {{ idle = "{n + 5}m" }}'))
            status, body = node.admin("POST", "/reload")
            assert status == 200, body
            assert ask(one, b"%d" % n) == b"%d" % n
        assert len(echo.peers) == 1
        # Its route is another one now: the address stays open, the flow goes.
        text = config(port, endpoint).replace("[listeners.raw]", "[listeners.new]")
        node.write(text.replace('listeners = ["raw"]', 'listeners = ["new"]'))
        status, body = node.admin("POST", "/reload")
        assert status == 200, body
        assert ask(one, b"after") == b"after"
        assert len(echo.peers) == 2
        until_metric(node, 'headgate_udp_closed_total{reason="route-removed"}', 1)


def test_a_closed_port_is_a_failure_and_others_take_over(
    folder: Path, port: int, echo: Echo
) -> None:
    with (
        closed_port() as gone,
        RunningNode(
            folder, config(port, f'"127.0.0.1:{gone}", "127.0.0.1:{echo.port}"')
        ).until_ready() as node,
    ):
        backend = re.escape(f'{{backend="raw/127.0.0.1:{gone}"}}')

        def is_told() -> bool:
            answers(port)
            return node.metric(f"proxy_backend_failures_total{backend}") > 0

        until(is_told, "the closed port is told")
        with client(port, wait_s=0.2) as one:

            def is_served() -> bool:
                with suppress(OSError):
                    return ask(one, b"x") == b"x"
                return False

            # A client that asks again reaches the other endpoint from the same flow.
            until(is_served, "the other endpoint answers")


def descriptors(node: RunningNode) -> int:
    """How many descriptors the node's processes have open."""
    total = 0
    for one in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            words = (one / "environ").read_bytes()
            if str(node.folder).encode() in words + (one / "cmdline").read_bytes():
                total += len(list((one / "fd").iterdir()))
    return total


def test_ten_thousand_clients_are_bounded_and_leave_nothing(
    folder: Path, port: int, echo: Echo
) -> None:
    most, clients, at_once = 500, 10_000, 100
    endpoint = f'"127.0.0.1:{echo.port}"'
    text = config(port, endpoint, route='timeouts = { idle = "3s" }', flows=most)
    with RunningNode(folder, text).until_ready() as node:
        until(lambda: answers(port), "the node answers")
        until(lambda: node.metric("headgate_udp_flows") == 0, "the first flow is idle")
        before = descriptors(node)
        opened = "headgate_udp_flows_opened_total"
        full = 'headgate_udp_dropped_total{reason="flows-full"}'
        base = node.metric(opened)
        for done in range(0, clients, at_once):
            for n in range(done, done + at_once):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                    # Every address has ports of its own, so that no two clients are one.
                    one.bind((f"127.1.{n // 250}.{n % 250 + 1}", 0))
                    one.sendto(b"%d" % n, ("127.0.0.1", port))
            sent = done + at_once
            until(lambda: node.metric(opened) - base + node.metric(full) == sent, "all are counted")  # noqa: B023
            # With several workers each has its share, so that the whole may be a few more.
            assert node.metric("headgate_udp_flows") <= most + 64
        until(lambda: node.metric("headgate_udp_flows") == 0, "every flow is idle")

        def ended() -> float:
            reasons = ("idle-timeout", "evicted")
            return sum(
                node.metric(f'headgate_udp_closed_total{{reason="{why}"}}') for why in reasons
            )

        until(lambda: ended() == node.metric(opened) >= most, "every end is counted")
        until(lambda: descriptors(node) <= before + 4, "no descriptor is left")
        until(lambda: answers(port), "the node answers")


def test_the_access_log_tells_of_flows(folder: Path, port: int, echo: Echo) -> None:
    log = f'[node.access_log]\nformat = "json"\nsink = {{ path = "{folder}/access.log" }}\n'
    text = config(port, f'"127.0.0.1:{echo.port}"', route="answers = 1") + log
    with RunningNode(folder, text).until_ready(), client(port) as one:
        assert ask(one, b"hello") == b"hello"
        (line,) = AccessLog(folder / "access.log").lines(1)
        assert (line["client_ip"], line["client_port"]) == one.getsockname()
        assert (line["listener"], line["route"], line["upstream"]) == ("raw", "raw", "raw")
        assert (line["endpoint"], line["protocol"]) == (f"127.0.0.1:{echo.port}", "udp")
        assert (line["datagrams_in"], line["datagrams_out"]) == (1, 1)
        assert (line["bytes_in"], line["bytes_out"], line["reason"]) == (5, 5, "answered")


def test_the_access_log_names_an_upstream_that_has_gone(
    folder: Path, port: int, echo: Echo
) -> None:
    log = f'[node.access_log]\nformat = "json"\nsink = {{ path = "{folder}/access.log" }}\n'
    text = config(port, f'"127.0.0.1:{echo.port}"') + log
    with RunningNode(folder, text, "--no-watch").until_ready() as node, client(port) as one:
        assert ask(one, b"a") == b"a"
        text = text.replace("[upstreams.raw]", "[upstreams.new]").replace('"60s"', '"100ms"')
        node.write(text.replace('upstream = "raw"', 'upstream = "new"'))
        status, body = node.admin("POST", "/reload")
        assert status == 200, body
        (line,) = AccessLog(folder / "access.log").lines(1)
    assert (line["upstream"], line["endpoint"]) == ("raw", f"127.0.0.1:{echo.port}")
    assert (line["reason"], line["datagrams_in"]) == ("route-removed", 1)


def test_a_port_that_another_server_has_is_told(folder: Path, port: int, echo: Echo) -> None:
    text = config(echo.port, f'"127.0.0.1:{echo.port}"')
    with RunningNode(folder, config(port, f'"127.0.0.1:{echo.port}"')).until_ready() as node:
        node.write(text)
        status, body = node.admin("POST", "/reload")
        assert status != 200
        assert f"cannot listen on 127.0.0.1:{echo.port}/udp: address already in use" in str(body)
        until(lambda: answers(port), "the node answers")


def test_an_upgrade_loses_no_datagram(folder: Path, port: int, echo: Echo) -> None:
    lost: list[str] = []
    made = [0]
    stop = threading.Event()

    def load() -> None:
        with client(port) as one:
            while not stop.is_set():
                data = b"%d" % made[0]
                try:
                    assert ask(one, data) == data
                    made[0] += 1
                except (OSError, AssertionError) as error:
                    lost.append(repr(error))

    with RunningNode(folder, config(port, f'"127.0.0.1:{echo.port}"')).until_ready() as node:
        generation, pid = node.data_plane()
        asking = threading.Thread(target=load)
        asking.start()
        try:
            until(lambda: made[0] > 20, "answers")
            done = node.command("upgrade")
            assert done.returncode == 0, done.stderr
            answered = made[0]
            until(lambda: made[0] > answered + 20, "more answers")
        finally:
            stop.set()
            asking.join()
        assert lost == []
        assert node.data_plane()[0] == generation + 1
        # The endpoint sees the same port as before, and the old process waits for no client.
        assert len(echo.peers) == 1
        until_metric(node, "headgate_udp_flows_taken_over_total", 1)
        until_metric(node, "headgate_udp_flows_left_behind_total", 0)
        until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the old data plane")


def test_flows_keep_their_ports_when_the_number_of_workers_changes(
    folder: Path, port: int, echo: Echo
) -> None:
    def workers(count: int) -> str:
        text = config(port, f'"127.0.0.1:{echo.port}"')
        return text.replace("[node]\n", f"[node]\nworkers = {count}\n")

    lost: list[str] = []
    asked = [0]
    stop = threading.Event()

    def load(clients: list[socket.socket]) -> None:
        while not stop.is_set():
            data = b"%d" % asked[0]
            try:
                assert [ask(one, data) for one in clients] == [data] * len(clients)
                asked[0] += 1
            except (OSError, AssertionError) as error:
                lost.append(repr(error))

    def change(node: RunningNode, count: int) -> None:
        generation, pid = node.data_plane()
        node.write(workers(count))
        assert node.admin("POST", "/reload")[0] == 200
        until(lambda: node.data_plane()[0] == generation + 1, "another data plane")
        until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the old one")
        before = asked[0]
        until(lambda: asked[0] > before + 2, "more answers")
        until_metric(node, "headgate_udp_flows_taken_over_total", 40)

    with RunningNode(folder, workers(1)).until_ready() as node, ExitStack() as stack:
        clients = [stack.enter_context(client(port)) for _ in range(40)]
        asking = threading.Thread(target=load, args=(clients,))
        asking.start()
        try:
            until(lambda: asked[0] > 2, "answers")
            for count in (2, 4, 3):
                change(node, count)
        finally:
            stop.set()
            asking.join()
        assert lost == []
        assert len(echo.peers) == 40
        until_metric(node, "headgate_udp_flows_opened_total", 40)


DROPPED = 'headgate_udp_dropped_total{reason="bandwidth"}'
LARGE = b"x" * 60_000
"""It begins within a limit of 1 kB/s and passes whole; the limit earns it in a minute."""


def limited(folder: Path, port: int, echo: Echo, limit: str) -> RunningNode:
    """A node whose one route has this limit."""
    text = config(port, f'"127.0.0.1:{echo.port}"', route=f"bandwidth = {{ {limit} }}")
    return RunningNode(folder, text)


@pytest.mark.parametrize("direction", ["download", "upload"])
def test_datagrams_above_the_rate_of_a_flow_are_dropped(
    folder: Path, port: int, echo: Echo, direction: str
) -> None:
    with (
        limited(folder, port, echo, f'{direction} = "1kB/s"').until_ready() as node,
        client(port) as heavy,
        client(port) as light,
    ):
        assert ask(heavy, LARGE) == LARGE
        heavy.send(b"y")
        until_metric(node, DROPPED, 1)
        assert ask(light, b"z") == b"z"
        labels = f'middleware="udp_route raw",direction="{direction}"'
        until_metric(node, f"headgate_bandwidth_bytes_total{{{labels}}}", len(LARGE) + 1)


@pytest.mark.parametrize("key", ["client_ip", "all"])
def test_flows_share_a_rate(folder: Path, port: int, echo: Echo, key: str) -> None:
    with (
        limited(folder, port, echo, f'upload = "1kB/s", key = "{key}"').until_ready() as node,
        client(port) as heavy,
        client(port) as light,
    ):
        assert ask(heavy, LARGE) == LARGE
        light.send(b"z")
        until_metric(node, DROPPED, 1)
        until_metric(node, "headgate_udp_flows", 2)
