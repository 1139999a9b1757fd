"""`bandwidth` of TCP routes: rates of connections, clients and routes, in both directions."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from running_node import RunningNode
from tcp_echo import Echo
from told import until_metric
from waiting import DEADLINE_S

CONFIG = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"

[tcp_routes.raw]
listeners = ["raw"]
upstream = "raw"
{route}

[upstreams.raw]
endpoints = ["127.0.0.1:{endpoint}"]
"""

RATE = 400_000
BURST = 40_000
SENT = 200_000


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A server that sends back what it gets."""
    one = Echo(b"a")
    yield one
    one.close()


@contextmanager
def limited(
    folder: Path, port: int, echo: Echo, limit: str, more: str = ""
) -> Iterator[RunningNode]:
    """A node with this limit."""
    route = f"bandwidth = {{ {limit} }}\n{more}"
    text = CONFIG.format(port=port, endpoint=echo.port, route=route)
    with RunningNode(folder, text) as node:
        yield node.until_ready()


def there_and_back(port: int, message: bytes) -> float:
    """How many seconds a message takes there and back, whole; its server's name comes before it."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one:
        assert one.recv(1) == b"a"
        begun = time.monotonic()
        sender = threading.Thread(target=_send, args=(one, message))
        sender.start()
        got = bytearray()
        while data := one.recv(1 << 16):
            got += data
        sender.join()
        assert got == message
        return time.monotonic() - begun


def _send(one: socket.socket, message: bytes) -> None:
    one.sendall(message)
    one.shutdown(socket.SHUT_WR)


def until_moved(node: RunningNode, direction: str, count: int) -> None:
    """Waits until so many bytes have passed under the limit of the route."""
    labels = f'middleware="tcp_route raw",direction="{direction}"'
    until_metric(node, f"headgate_bandwidth_bytes_total{{{labels}}}", count)


@pytest.mark.parametrize("direction", ["download", "upload"])
def test_a_connection_gets_what_its_rate_says(
    folder: Path, port: int, echo: Echo, direction: str
) -> None:
    slow = RATE // 32
    limit = f'{direction} = "{slow}B/s", burst = "{BURST}B"'
    # Nobody is silent while we hold back: the timeout is shorter than what is held.
    timeout = 'timeouts = { idle = "12s" }'
    with limited(folder, port, echo, limit, timeout) as node:
        # At least what is beyond the burst has to wait; a timer and a quantum may be ahead.
        least_s = (SENT - BURST) / slow * 0.8
        message = Random(7).randbytes(SENT)  # noqa: S311 - to be had again
        assert there_and_back(port, message) >= least_s
        until_moved(node, direction, SENT + (1 if direction == "download" else 0))
        other = "upload" if direction == "download" else "download"
        until_moved(node, other, 0)
        results = 'headgate_middleware_results_total{kind="bandwidth",middleware="tcp_route raw"'
        until_metric(node, f'{results},result="held"}}', 1)


@pytest.mark.parametrize("key", ["client_ip", "all"])
def test_connections_share_a_rate(folder: Path, port: int, echo: Echo, key: str) -> None:
    limit = f'download = "{RATE}B/s", burst = "{BURST}B", key = "{key}"'
    with limited(folder, port, echo, limit) as node:
        message = b"x" * (SENT // 4)
        begun = time.monotonic()
        threads = [threading.Thread(target=there_and_back, args=(port, message)) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert time.monotonic() - begun >= (SENT - BURST) / RATE * 0.8
        until_moved(node, "download", SENT + 4)


def test_much_passes_whole_under_a_high_rate(folder: Path, port: int, echo: Echo) -> None:
    with limited(folder, port, echo, 'download = "200MB/s", upload = "300MB/s"') as node:
        message = Random(8).randbytes(24_000_000)  # noqa: S311 - to be had again
        there_and_back(port, message)
        until_moved(node, "download", len(message) + 1)
        until_moved(node, "upload", len(message))


def test_a_connection_keeps_its_rate_over_a_reload(folder: Path, port: int, echo: Echo) -> None:
    with (
        limited(folder, port, echo, f'upload = "{RATE}B/s", burst = "{BURST}B"') as node,
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as old,
    ):
        assert old.recv(1) == b"a"
        node.write(CONFIG.format(port=port, endpoint=echo.port, route=""))
        assert node.admin("POST", "/reload")[0] == 200
        assert there_and_back(port, b"y" * SENT) < DEADLINE_S
        begun = time.monotonic()
        _send(old, b"z" * SENT)
        while old.recv(1 << 16):
            pass
        assert time.monotonic() - begun >= (SENT - BURST) / RATE * 0.8
