"""Limits and timeouts of TCP and UDP at their edge, on one real nginx."""

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from cut_off import CutOff
from datagram_servers import Echo as DatagramEcho
from nginx_engine import capabilities
from peers import unavailable
from ports import deaf_port, free_ports
from stream_nginx import hello, served
from tcp_echo import Echo
from waiting import DEADLINE_S, until

pytestmark = pytest.mark.usefixtures("has_stream")

QUICK_S = 0.3
IDLE_S = 2.0
"""Within that time client and endpoint have to speak, on a machine that may stall them."""
EARLY_S = 0.002
"""nginx counts whole milliseconds, from the one in which its turn began."""
DEFAULT_S = 5.0
"""The shortest default of these timeouts."""
DEFAULT_FLOW_S = 60.0
TRIES = 3
"""A busy machine may stand still for longer than the default, but not each time."""
CONNECTIONS = 32
OF_NGINX = 4
"""What a worker takes of its connections for listeners, the status socket and its master."""

CONFIG = """
[listeners.raw]
address = "127.0.0.1:{raw}"
protocol = "tcp"

[listeners.named]
address = "127.0.0.1:{named}"
protocol = "tcp"
timeouts.handshake = "300ms"

[listeners.deaf]
address = "127.0.0.1:{deaf}"
protocol = "tcp"

[tcp_routes]
raw = {{ listeners = "raw", upstream = "up", timeouts.idle = "2s" }}
named = {{ listeners = "named", upstream = "up", sni = "a.example" }}
deaf = {{ listeners = "deaf", upstream = "deaf" }}

[upstreams]
up = {{ endpoints = ["127.0.0.1:{up}"] }}
deaf = {{ endpoints = ["127.0.0.1:{nobody}"], timeouts.connect = "300ms" }}
"""

HELD = """
[node.limits]
connections = {connections}

[listeners.raw]
address = "127.0.0.1:{raw}"
protocol = "tcp"

[listeners.web]
address = "127.0.0.1:{web}"
default = true

[tcp_routes]
raw = {{ listeners = "raw", upstream = "up" }}

[routes]
all = {{ respond.status = 204 }}

[upstreams]
up = {{ endpoints = ["127.0.0.1:{up}"] }}
"""

DATAGRAMS = """
[node]
access_log = {{ format = "json", sink = {{ path = "{log}" }} }}

[listeners.raw]
address = "127.0.0.1:{raw}"
protocol = "udp"

[udp_routes]
raw = {{ listeners = "raw", upstream = "up", timeouts.idle = "2s" }}

[upstreams]
up = {{ endpoints = ["127.0.0.1:{up}"] }}
"""


class Edges(NamedTuple):
    """The listeners of the running nginx."""

    raw: int
    named: int
    deaf: int


@pytest.fixture(scope="module")
def edges() -> Iterator[Edges]:
    """One nginx, one endpoint that answers, and one that nobody can connect to."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hg-")))
        echo = Echo(b"a")
        stack.callback(echo.close)
        nobody = stack.enter_context(deaf_port())
        ports = Edges(*free_ports(3))
        text = CONFIG.format(**ports._asdict(), up=echo.port, nobody=nobody)
        stack.enter_context(served(folder, text))
        yield ports


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), DEADLINE_S)


@pytest.mark.parametrize(
    ("port", "data", "answer"),
    [
        ("raw", b"", b"a"),
        ("raw", b"bc", b"abc"),
        ("named", b"", b""),
        ("named", hello("a.example")[:50], b""),
        ("deaf", b"x", b""),
    ],
    ids=["idle", "idle-after-bytes", "no-hello", "half-a-hello", "connect"],
)
def test_a_timeout_ends_what_waits_and_not_sooner(
    edges: Edges, port: str, data: bytes, answer: bytes
) -> None:
    took_s = DEFAULT_S
    for _ in range(TRIES):
        begun, got = time.monotonic(), b""
        with connected(getattr(edges, port)) as one, CutOff():
            one.sendall(data)
            while part := one.recv(100):
                got += part
        took_s = time.monotonic() - begun
        assert got == answer
        assert took_s >= (IDLE_S if port == "raw" else QUICK_S) - EARLY_S
        if took_s < DEFAULT_S:
            return
    raise AssertionError(f"{took_s} s: that is the default")


def test_a_flow_of_datagrams_ends_when_it_was_idle_for_so_long(tmp_path: Path, port: int) -> None:
    if not capabilities().has("stream_udp"):
        unavailable("nginx has no UDP in its stream")
    log, echo = tmp_path / "asked.log", DatagramEcho()
    with (
        served(tmp_path, DATAGRAMS.format(log=log, raw=port, up=echo.port)),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
    ):
        one.settimeout(DEADLINE_S)
        one.connect(("127.0.0.1", port))
        for number in range(1, 3):
            begun = time.monotonic()
            one.send(b"x")
            assert one.recv(10) == b"x"
            until(partial(_has_lines, log, number), "the end of a flow")
            assert IDLE_S - EARLY_S <= time.monotonic() - begun < DEFAULT_FLOW_S
        assert len(echo.peers) == 2
    echo.close()


def _has_lines(log: Path, number: int) -> bool:
    return log.exists() and log.read_bytes().count(b"\n") == number


def test_a_worker_takes_connections_up_to_its_limit_and_again_when_some_have_ended(
    tmp_path: Path,
) -> None:
    """A connection over TCP takes two of them, one of HTTP that is answered without an endpoint
    one."""
    raw, web = free_ports(2)
    echo = Echo(b"a")
    most = (CONNECTIONS - OF_NGINX) // 2
    text = HELD.format(connections=CONNECTIONS, raw=raw, web=web, up=echo.port)
    with served(tmp_path, text) as engine, ExitStack() as stack:
        held = [stack.enter_context(connected(raw)) for _ in range(most)]
        assert [one.recv(1) for one in held] == [b"a"] * most
        for port in (raw, web):
            assert _is_refused(port)
        assert f"{CONNECTIONS} worker_connections are not enough" in engine.error_log()
        held.pop().close()
        until(lambda: not _is_refused(web), "room again")
        for one in held:
            one.sendall(b"still")
            assert one.recv(5) == b"still"
    echo.close()


def _is_refused(port: int) -> bool:
    """Reports whether nothing comes back."""
    with connected(port) as one, CutOff():
        one.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return not one.recv(1)
    return True
