"""UDP routes on a node that drives an nginx: a real name server, flows, reloads, taken ports."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from access_log import AccessLog
from datagram_servers import closed_port
from nginx_engine import capabilities, stream_capabilities
from peers import peer, unavailable
from ports import free_port
from running_node import RunningNode
from told import until_metrics_say
from waiting import DEADLINE_S, until

CONFIG = """
[node]
admin = "off"
[node.access_log]
sink = {{ path = "{log}" }}

[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "udp"
{listener}
[udp_routes.raw]
listeners = "raw"
upstream = "raw"
{route}
[upstreams.raw]
endpoints = [{endpoints}]
"""

pytestmark = pytest.mark.usefixtures("able", "probed")


@pytest.fixture
def able() -> None:
    """Skips the test without UDP in `stream`, or fails it in CI."""
    stream_capabilities()
    if not capabilities().has("stream_udp"):
        unavailable("nginx has no UDP in its stream")


class Echo:
    """A server that answers a datagram with its name and the datagram."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.peers: list[tuple[str, int]] = []
        self.hold = threading.Event()
        self.hold.set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, peer_of = self._socket.recvfrom(65_536)
                self.peers.append(peer_of)
                self.hold.wait(DEADLINE_S)
                self._socket.sendto(self.name + data[1:], peer_of)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._socket.close()


class Client:
    """A client with a port of its own."""

    def __init__(self, port: int, timeout_s: float = DEADLINE_S) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(timeout_s)
        self.socket.connect(("127.0.0.1", port))

    def ask(self, data: bytes = b"?") -> bytes:
        self.socket.send(data)
        return self.socket.recv(65_536)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@pytest.fixture
def echoes() -> Iterator[list[Echo]]:
    with Echo(b"a") as one, Echo(b"b") as two:
        yield [one, two]


def config(folder: Path, port: int, *ports: int, route: str = "", listener: str = "") -> str:
    endpoints = ", ".join(f'"127.0.0.1:{one}"' for one in ports)
    log = folder / "s/nginx/logs/asked.log"
    return CONFIG.format(log=log, port=port, endpoints=endpoints, route=route, listener=listener)


def logged(folder: Path) -> AccessLog:
    return AccessLog(folder / "s/nginx/logs/asked.log")


def node(folder: Path, text: str) -> RunningNode:
    return RunningNode(folder, text, "--engine", "nginx")


def test_a_name_server_answers_over_udp_and_tcp_of_one_address(folder: Path, port: int) -> None:
    server = free_port()
    words = [str(peer("dnsmasq")), "--no-daemon", "--no-resolv", "--no-hosts", f"--port={server}"]
    words += ["--listen-address=127.0.0.1", "--bind-interfaces", "--conf-file=/dev/null"]
    words += ["--address=/app.example/192.0.2.7", "--pid-file"]
    text = config(folder, port, server, route='answers = 1\ntimeouts = { idle = "5s" }')
    text += f'\n[listeners.also]\naddress = "127.0.0.1:{port}"\nprotocol = "tcp"\n'
    text += '[tcp_routes.also]\nlisteners = "also"\nupstream = "raw"\n'

    def answer(*more: str) -> str:
        asked = [str(peer("dig")), "@127.0.0.1", "-p", str(port), "+short", *more, "app.example"]
        done = subprocess.run(
            asked, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        return done.stdout.strip()

    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as names:
        try:
            with node(folder, text).until_ready() as running:
                until(lambda: answer() == "192.0.2.7", "an answer over UDP")
                assert answer("+tcp") == "192.0.2.7"
                # A question that came before the name server did has a line of its own.
                of_udp = logged(folder).line(protocol="udp", reason="ended")
                of_tcp = logged(folder).line(protocol="tcp")
                assert (of_udp["route"], of_udp["listener"]) == ("raw", "raw")
                assert (of_tcp["route"], of_tcp["listener"]) == ("also", "also")
                counted = 'headgate_udp_closed_total{reason="ended"}'
                until_metrics_say(running, counted)
        finally:
            names.terminate()


def test_a_flow_keeps_its_endpoint_and_datagrams_of_any_size_pass(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    ports = [one.port for one in echoes]
    with node(folder, config(folder, port, *ports)).until_ready(), Client(port) as client:
        first = client.ask()
        for size in (1, 1_400, 40_000, 65_000):
            answer = client.ask(b"?" * size)
            assert (answer[:1], len(answer)) == (first, size)
        (used,) = (one for one in echoes if one.name == first)
        assert len(set(used.peers)) == 1
        names = set()
        for _ in range(8):
            with Client(port) as other:
                names.add(other.ask())
        assert names == {b"a", b"b"}


def test_each_datagram_is_balanced_where_that_is_asked(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    ports = [one.port for one in echoes]
    text = config(folder, port, *ports, route='balance_by = "datagram"\nanswers = 1')
    with node(folder, text).until_ready(), Client(port) as client:
        assert {client.ask() for _ in range(8)} == {b"a", b"b"}


def test_clients_and_flows_beyond_what_is_allowed_get_nothing(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    text = config(
        folder,
        port,
        echoes[0].port,
        route='client = "127.0.0.1/32"',
        listener="limits = { flows = 1 }",
    )
    with node(folder, text).until_ready(), Client(port) as client:
        assert client.ask() == b"a"
        with Client(port) as second:
            second.socket.send(b"?")
            logged(folder).line(reason="flows-full")
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.sendto(b"?", ("127.0.0.1", port))
            logged(folder).lines(2)
        assert client.ask() == b"a"
        assert len(echoes[0].peers) == 2


def test_a_closed_port_ends_a_flow_and_the_next_goes_elsewhere(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    with (
        closed_port() as nobody,
        node(folder, config(folder, port, nobody, echoes[0].port)).until_ready(),
        Client(port) as client,
    ):

        def answered() -> bool:
            client.socket.settimeout(0.3)
            with contextlib.suppress(OSError):
                return client.ask() == b"a"
            return False

        until(answered, "the endpoint that lives")
        client.socket.settimeout(DEADLINE_S)
        assert {client.ask() for _ in range(3)} == {b"a"}


def test_a_port_that_somebody_has_is_refused_by_name(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    taken = free_port()
    text = config(folder, port, echoes[0].port)
    holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with holder, node(folder, text).until_ready() as running, Client(port) as client:
        # nginx itself would share the port with this one, and neither would be told.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", taken))
        running.write(text.replace(f":{port}", f":{taken}"))
        status, said = running.admin("POST", "/reload")
        assert status != 200
        assert f"udp:127.0.0.1:{taken} is held by".encode() in said
        assert client.ask() == b"a"


def test_a_reload_begins_flows_anew_and_serves_them(
    folder: Path, port: int, echoes: list[Echo]
) -> None:
    text = config(folder, port, echoes[0].port)
    with node(folder, text).until_ready() as running, Client(port) as client:
        running.write(text.replace(str(echoes[0].port), str(echoes[1].port)))
        assert running.admin("POST", "/reload")[0] == 200

        def moved() -> bool:
            client.socket.settimeout(0.3)
            with contextlib.suppress(OSError):
                return client.ask() == b"b"
            return False

        until(moved, "the other endpoint")
