"""TLS through TCP routes by server name: real clients and servers, hellos cut anywhere."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest
from access_log import AccessLog
from cut_off import CutOff
from peers import unavailable
from ports import free_port
from postgres import Postgres
from running_node import RunningNode
from socket_server import SocketServer
from tls_authority import Authority
from waiting import DEADLINE_S, until

NAMES = ("a.example", "b.example")
RECEIVED = "proxy_bytes_received_total"


def run(*command: str) -> str:
    """What a command prints; fails if the command does."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class TlsServer(SocketServer):
    """A TLS server that sends its name, and then what it gets."""

    def __init__(self, authority: Authority, name: str) -> None:
        self.name = name
        pair = authority.issue(name, name)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.cert_file, pair.key_file)
        self._context.set_alpn_protocols(["h2", "http/1.1"])
        super().__init__()

    def serve(self, link: socket.socket) -> None:
        """Sends its name and what it gets."""
        with self._context.wrap_socket(link, server_side=True) as tls:
            tls.sendall(f"{self.name}\n".encode())
            while data := tls.recv(65536):
                tls.sendall(data)


@pytest.fixture
def authority(folder: Path) -> Authority:
    """Who signed the servers' certificates."""
    return Authority(folder)


@pytest.fixture
def servers(authority: Authority) -> Iterator[list[TlsServer]]:
    """A server for each name."""
    all_ = [TlsServer(authority, name) for name in NAMES]
    yield all_
    for one in all_:
        one.close()


def config(port: int, folder: Path, routes: dict[str, tuple[str, int]], more: str = "") -> str:
    """A config with TCP routes: their condition, and the port of their endpoint."""
    text = f"""
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}
[node.access_log]
format = "json"
sink = {{ path = "{folder}/access.log" }}
[listeners.tls]
address = "127.0.0.1:{port}"
protocol = "tcp"
{more}
"""
    for name, (condition, endpoint) in routes.items():
        text += f'[tcp_routes.{name}]\nlisteners = "tls"\nupstream = "{name}"\n{condition}\n'
        text += f'[upstreams.{name}]\nendpoints = ["127.0.0.1:{endpoint}"]\n'
    return text


class Client:
    """A TLS client (OpenSSL) whose bytes can be cut anywhere."""

    def __init__(self, port: int, name: str | None, trusted: Path, alpn: list[str]) -> None:
        context = ssl.create_default_context(cafile=trusted)
        context.check_hostname = name is not None
        context.set_alpn_protocols(alpn)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        self._socket = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def hello(self) -> bytes:
        """What it sends first."""
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._out.read()

    def send(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self._socket.sendall(data)

    def _more(self) -> None:
        self.send(self._out.read())
        data = self._socket.recv(65536)
        if not data:
            raise EOFError
        self._in.write(data)

    def shake_hands(self) -> str | None:
        """Completes the handshake; returns the protocol that the server chose."""
        while True:
            with suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                return self._tls.selected_alpn_protocol()
            self._more()

    def line(self) -> str:
        """The next line of the server."""
        got = b""
        while not got.endswith(b"\n"):
            with suppress(ssl.SSLWantReadError):
                got += self._tls.read(1)
                continue
            self._more()
        return got.decode().strip()

    def say(self, text: str) -> None:
        """Sends a line."""
        self._tls.write(text.encode() + b"\n")
        self.send(self._out.read())


def test_openssl_meets_the_certificate_of_the_name(
    folder: Path, port: int, authority: Authority, servers: list[TlsServer]
) -> None:
    routes = {
        "a": ('sni = "a.example"', servers[0].port),
        "b": ('sni = "*.example"', servers[1].port),
    }
    with RunningNode(folder, config(port, folder, routes)).until_ready():
        for name in NAMES:
            command = ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}"]
            command += ["-servername", name, "-verify_hostname", name, "-verify_return_error"]
            command += ["-CAfile", str(authority.ca_file)]
            with subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ) as client:
                assert client.stdin is not None
                assert client.stdout is not None
                assert client.stdout.readline().strip() == name
                client.stdin.write("hello\n")
                client.stdin.flush()
                assert client.stdout.readline().strip() == "hello"
                client.kill()
        lines = AccessLog(folder / "access.log").lines(len(NAMES))
        seen = {(line["sni"], line["route"]) for line in lines}
        assert seen == {("a.example", "a"), ("b.example", "b")}


def test_a_hello_in_random_pieces_reaches_the_server_of_its_name(
    folder: Path, port: int, authority: Authority, servers: list[TlsServer]
) -> None:
    random = Random(12)  # noqa: S311 - to be had again
    routes = {
        "a": ('sni = "a.example"', servers[0].port),
        "b": ('sni = "b.example"\nalpn = "h2"', servers[1].port),
    }
    with RunningNode(folder, config(port, folder, routes)).until_ready():
        for turn in range(12):
            name = random.choice(NAMES)
            with Client(port, name, authority.ca_file, ["h2"]) as client:
                rest = client.hello()
                while rest:
                    size = 1 if turn == 0 else random.randint(1, 200)
                    client.send(rest[:size])
                    rest = rest[size:]
                assert client.shake_hands() == "h2"
                assert client.line() == name
                client.say("x" * 1000)
                assert client.line() == "x" * 1000


@contextmanager
def halved(
    node: RunningNode, port: int, first: int, began: bytearray | None = None
) -> Iterator[int]:
    """A way to the node on which the rest comes once it has read so many bytes; yields its port.

    `began` gets those bytes.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def pass_on(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
            with client, server:
                back = threading.Thread(target=pass_on, args=(server, client), daemon=True)
                back.start()
                data = b""
                while len(data) < first:
                    data += client.recv(first - len(data))
                if began is not None:
                    began.extend(data)
                before = node.metric(RECEIVED)
                server.sendall(data)
                until(lambda: node.metric(RECEIVED) == before + first, "the first half is read")
                pass_on(client, server)
                back.join(DEADLINE_S)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(DEADLINE_S)
    listener.close()


def test_curl_is_served_though_its_hello_comes_in_two_halves(
    folder: Path, port: int, authority: Authority
) -> None:
    pair, at = authority.issue("server", "a.example"), free_port()
    command = ["openssl", "s_server", "-quiet", "-www", "-accept", f"127.0.0.1:{at}"]
    command += ["-cert", str(pair.cert_file), "-key", str(pair.key_file)]
    text = config(port, folder, {"a": ('sni = "a.example"', at)})
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        subprocess.Popen(command, **quiet) as server,  # type: ignore[call-overload]
        RunningNode(folder, text).until_ready() as node,
    ):
        try:
            until(lambda: is_open(at), "the server listens")
            with halved(node, port, 150) as through:
                at_node = ["--noproxy", "*", "--resolve", f"a.example:{through}:127.0.0.1"]
                trusted = ["--cacert", str(authority.ca_file), "--max-time", "60"]
                page = run("curl", "-sS", *trusted, *at_node, f"https://a.example:{through}/")
            assert "s_server" in page
        finally:
            server.kill()


def test_a_post_quantum_hello_passes_in_two_halves(
    folder: Path, port: int, authority: Authority
) -> None:
    """curl asks a second node, whose TLS towards the endpoint offers X25519MLKEM768."""
    pair, at, page = authority.issue("server", "a.example"), free_port(), free_port()
    command = ["openssl", "s_server", "-quiet", "-www", "-accept", f"127.0.0.1:{at}"]
    command += ["-cert", str(pair.cert_file), "-key", str(pair.key_file)]
    text = config(port, folder, {"a": ('sni = "a.example"', at)})
    asking = folder / "asking"
    asking.mkdir()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    began = bytearray()
    with (
        subprocess.Popen(command, **quiet) as server,  # type: ignore[call-overload]
        RunningNode(folder, text).until_ready() as node,
    ):
        try:
            until(lambda: is_open(at), "the server listens")
            with (
                halved(node, port, 700, began) as through,
                RunningNode(asking, secure_config(page, through, authority.ca_file)).until_ready(),
            ):
                got = run("curl", "-sS", "--noproxy", "*", f"http://127.0.0.1:{page}/")
            assert "s_server" in got
        finally:
            server.kill()
    # A record of one hello that is longer than the key of ML-KEM-768 alone (1,184 bytes), which it
    # offers: RFC 8446 §4.1.2, draft-ietf-tls-ecdhe-mlkem.
    assert began[0] == 22 and int.from_bytes(began[3:5]) > 1_184
    assert bytes.fromhex("11ec") in began


def secure_config(port: int, endpoint: int, ca_file: Path) -> str:
    """A config that speaks HTTP with clients, and HTTPS with an endpoint."""
    return f"""
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "5s" }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.all]
upstream = "app"

[upstreams.app]
endpoints = ["127.0.0.1:{endpoint}"]
tls = {{ ca_file = "{ca_file}", verify_name = "a.example" }}
timeouts = {{ connect = "45s" }}
"""


def is_open(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_reset(port: int, data: bytes) -> bool:
    """Whether a connection that sends this is reset."""
    with (
        CutOff() as cut,
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one,
    ):
        one.sendall(data)
        one.recv(1)
    return cut.happened


def test_what_no_route_takes_is_reset_counted_and_logged(
    folder: Path, port: int, authority: Authority, servers: list[TlsServer]
) -> None:
    routes = {"a": ('sni = "a.example"', servers[0].port)}
    text = config(port, folder, routes, 'timeouts = { handshake = "45s" }')
    with RunningNode(folder, text, "--no-watch").until_ready() as node:
        with Client(port, "b.example", authority.ca_file, ["h2"]) as other:
            hello = other.hello()
        refused = {
            "no-route": hello,
            "not-tls": b"SSH-2.0-x\r\n",
            "bad-hello": b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
            "hello-too-long": b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
            "hello-timeout": hello[:20],
        }
        for reason, data in refused.items():
            if reason == "hello-timeout":  # nothing else may be late
                node.write(text.replace('handshake = "45s"', 'handshake = "2s"'))
                assert node.admin("POST", "/reload")[0] == 200
            assert is_reset(port, data), reason
            closed = f'headgate_tcp_closed_total{{reason="{reason}"}}'
            until(lambda closed=closed: node.metric(closed) == 1, reason)  # type: ignore[misc]
        # The client above said nothing at all.
        expected = {*refused, "hello-cut"}
        lines = AccessLog(folder / "access.log").lines(len(expected))
        assert sorted(str(line["reason"]) for line in lines) == sorted(expected)
        sent = [line for line in lines if line["reason"] == "no-route"]
        assert [(line["sni"], line["bytes_in"]) for line in sent] == [("b.example", len(hello))]


def test_a_postgresql_begins_tls_by_a_message_of_its_own(
    folder: Path, port: int, authority: Authority
) -> None:
    if shutil.which("psql") is None:
        unavailable("psql is missing: sudo make system-deps")
    server = Postgres(pair=authority.issue("pg", "localhost"))
    text = config(port, folder, {"pg": ("", server.port)})
    try:
        with RunningNode(folder, text).until_ready():
            where = f"host=localhost hostaddr=127.0.0.1 port={port} user=postgres dbname=postgres"
            trusted = f"sslmode=verify-full sslrootcert={authority.ca_file}"
            asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            assert run("psql", f"{where} {trusted}", "-Atc", asked).strip() == "t"
    finally:
        server.close()
