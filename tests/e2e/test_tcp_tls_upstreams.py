"""TLS towards the endpoints of TCP routes: real servers, and those with whom it fails."""

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from access_log import AccessLog
from cut_off import CutOff
from peers import peer
from ports import free_port
from running_node import RunningNode
from stream_end import Secured
from tcp_echo import talk
from tls_authority import Authority
from tls_client import trusting
from tls_echo import TlsEcho
from told import until_health_says, until_metric, until_metric_at_least
from waiting import DEADLINE_S, until

SECURED = 'headgate_tls_handshakes_total{side="upstream",version="1.3",kind="full"}'
FAILED = 'headgate_tls_handshakes_total{side="upstream",version="",kind="failed"}'


def config(port: int, folder: Path, endpoints: str, tls: str, more: str = "") -> str:
    """A config with one TCP route to these endpoints, over TLS."""
    if "timeouts" not in more:  # our servers may be held up as they shake hands
        more = f'timeouts = {{ connect = "45s" }}\n{more}'
    return f"""
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}
access_log = {{ format = "json", sink = {{ path = "{folder}/access.log" }} }}
[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"
[tcp_routes.raw]
listeners = "raw"
upstream = "raw"
[upstreams.raw]
endpoints = [{endpoints}]
tls = {{ ca_file = "{folder}/test-authority.pem", {tls} }}
{more}"""


def states(node: RunningNode) -> set[str]:
    """The states of the endpoints."""
    (upstream,) = json.loads(node.admin("GET", "/health")[1])["upstreams"]
    return {one["state"] for one in upstream["endpoints"]}


def logged(folder: Path, reason: str) -> dict[str, object]:
    """The first line of the access log with this reason."""
    return AccessLog(folder / "access.log").line(reason=reason)


@pytest.fixture
def authority(folder: Path) -> Authority:
    """Who signed the servers' certificates."""
    return Authority(folder)


@pytest.fixture
def echo(authority: Authority) -> Iterator[TlsEcho]:
    """A server that speaks first, inside TLS."""
    one = TlsEcho(b"a", authority.issue("a", "a.example", "127.0.0.1"), ["imap"])
    yield one
    one.close()


def is_open(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(command: list[str], port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """A server, once it listens."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as server:  # type: ignore[call-overload]
        try:
            until(lambda: is_open(port), "the server listens")
            yield server
        finally:
            server.kill()


def test_plain_clients_reach_a_server_with_tls(folder: Path, port: int, echo: TlsEcho) -> None:
    text = config(port, folder, f'"127.0.0.1:{echo.port}"', 'verify_name = "a.example"')
    with RunningNode(folder, text).until_ready() as node:
        assert talk(port, b"x" * 300_000) == b"a"
        assert talk(port, b"") == b"a"
        assert (echo.asked[0], echo.agreed[0]) == ("a.example", None)
        for kind in ("full", "resumed"):
            name = f'headgate_tls_handshakes_total{{side="upstream",version="1.3",kind="{kind}"}}'
            until(lambda name=name: node.metric(name) == 1, kind)  # type: ignore[misc]
        both = AccessLog(folder / "access.log").lines(2)
        assert sorted(str(one["bytes_in"]) for one in both) == ["0", "300000"]


def test_openssl_s_server_is_an_endpoint(folder: Path, port: int, authority: Authority) -> None:
    pair, at = authority.issue("server", "127.0.0.1"), free_port()
    command = ["openssl", "s_server", "-quiet", "-rev", "-accept", f"127.0.0.1:{at}"]
    command += ["-cert", str(pair.cert_file), "-key", str(pair.key_file)]
    text = config(port, folder, f'"127.0.0.1:{at}"', "verify = true")
    with (
        running(command, at),
        RunningNode(folder, text).until_ready(),
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one,
    ):
        lines = one.makefile("rw")
        lines.write("hello\n")
        lines.flush()
        assert lines.readline() == "olleh\n"


def test_a_redis_with_tls_asks_for_our_certificate(
    folder: Path, port: int, authority: Authority
) -> None:
    pair, own, at = authority.issue("redis", "127.0.0.1"), authority.issue("own", "me"), free_port()
    command = [str(peer("redis-server")), "--port", "0", "--tls-port", str(at), "--save", ""]
    command += ["--tls-cert-file", str(pair.cert_file), "--tls-key-file", str(pair.key_file)]
    command += ["--tls-ca-cert-file", str(authority.ca_file), "--bind", "127.0.0.1"]
    tls = 'client_certificate = "own"'
    more = 'health_check = { protocol = "tcp" }\n' + own.toml("own")
    text = config(port, folder, f'"127.0.0.1:{at}"', tls, more)
    with running(command, at), RunningNode(folder, text).until_ready() as node:
        until(lambda: states(node) == {"up"}, "a handshake passes the check")
        ask = [str(peer("redis-cli")), "-h", "127.0.0.1", "-p", str(port)]
        said = subprocess.run(
            [*ask, "SET", "k", "v"], capture_output=True, timeout=DEADLINE_S, check=True
        )
        assert said.stdout == b"OK\n"
        bench = [str(peer("redis-benchmark")), "-h", "127.0.0.1", "-p", str(port)]
        bench += ["-n", "2000", "-c", "10", "-t", "set,get", "-d", "1000", "-q"]
        done = subprocess.run(bench, capture_output=True, timeout=DEADLINE_S, check=True)
        assert b"GET" in done.stdout


def test_tls_ends_and_begins_again_with_the_same_protocol(
    folder: Path, port: int, authority: Authority, echo: TlsEcho
) -> None:
    pair = authority.issue("front", "f.example")
    more = f"""
{pair.toml("f")}
[tls_policies.mail]
alpn = ["imap"]
"""
    text = config(port, folder, f'"127.0.0.1:{echo.port}"', "verify = true", more)
    front = 'tls = { default_certificate = "f", policy = "mail" }'
    text = text.replace('protocol = "tcp"\n', f'protocol = "tcp"\n{front}\n')
    context = trusting(authority.ca_file)
    context.set_alpn_protocols(["imap"])
    with RunningNode(folder, text).until_ready():
        one = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        with Secured(one, context, "f.example") as client:
            client.send(b"x" * 300_000)
            client.end()
            assert client.rest() == b"a" + b"x" * 300_000
        assert echo.agreed == ["imap"]
        assert logged(folder, "client-end")["alpn"] == "imap"


def test_another_endpoint_takes_the_place_of_one_whose_tls_fails(
    folder: Path, port: int, authority: Authority, echo: TlsEcho
) -> None:
    other = TlsEcho(b"b", Authority(folder, "stranger").issue("b", "127.0.0.1"))
    endpoints = f'"127.0.0.1:{other.port}", "127.0.0.1:{echo.port}"'
    more = 'outlier_detection = { consecutive_local = 2, ejection = "60s" }\n'
    try:
        with RunningNode(folder, config(port, folder, endpoints, "verify = true", more)) as node:
            node.until_ready()

            def is_ejected() -> bool:
                assert talk(port, b"hello") == b"a"
                return states(node) == {"up", "ejected"}

            until(is_ejected, "the other one is ejected")
            until_metric_at_least(node, FAILED, 2)
    finally:
        other.close()


def test_an_endpoint_that_shakes_no_hands_is_left_in_time(
    folder: Path, port: int, echo: TlsEcho
) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    endpoints = f'"127.0.0.1:{silent.getsockname()[1]}", "127.0.0.1:{echo.port}"'
    more = 'timeouts = { connect = "12s" }\n'
    text = config(port, folder, endpoints, "verify = true", more)
    with silent, RunningNode(folder, text).until_ready() as node:

        def is_left() -> bool:
            assert talk(port, b"hello") == b"a"
            return node.metric(FAILED) >= 1

        until(is_left, "it was tried")


def test_nobody_with_whom_hands_are_shaken_is_a_reset(
    folder: Path, port: int, authority: Authority
) -> None:
    echo = TlsEcho(b"b", authority.issue("b", "b.example"))
    text = config(port, folder, f'"127.0.0.1:{echo.port}"', "verify = true")
    try:
        with RunningNode(folder, text).until_ready() as node:
            with CutOff() as cut, socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one:
                one.sendall(b"hello")
                one.recv(1)
            assert cut.happened
            assert logged(folder, "connect-tls")["bytes_out"] == 0
            until(
                lambda: b"certificate" in node.admin("GET", "/health")[1].lower(),
                "the endpoint's state says why",
            )
    finally:
        echo.close()


def test_an_endpoint_s_end_without_close_notify_is_a_reset(
    folder: Path, port: int, authority: Authority
) -> None:
    pair = authority.issue("s", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert_file, pair.key_file)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with (
            suppress(OSError),
            Secured(listener.accept()[0], context, is_server=True) as end,
        ):
            end.send(b"half of it")
            end.socket.shutdown(socket.SHUT_WR)
            end.rest()

    threading.Thread(target=serve, daemon=True).start()
    text = config(port, folder, f'"127.0.0.1:{listener.getsockname()[1]}"', "verify = true")
    with listener, RunningNode(folder, text).until_ready():
        with CutOff() as cut, socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one:
            while one.recv(65536):
                pass
        assert cut.happened
        assert logged(folder, "endpoint-cut")["bytes_out"] == len(b"half of it")


def failures(port: int) -> str:
    """The metric of an endpoint's failures."""
    return f'proxy_backend_failures_total{{backend="raw/127.0.0.1:{port}"}}'


class Picky:
    """A server that wants certificates of its clients, and says so only after the handshake.

    With `is_curt` it takes all of them, and ends connections without an alert; with `waits` once
    their clients have sent something.
    """

    def __init__(self, authority: Authority, *, is_curt: bool = False, waits: bool = False) -> None:
        self._waits = waits
        pair = authority.issue("picky", "127.0.0.1")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.cert_file, pair.key_file)
        if not is_curt:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(authority.ca_file)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(
                    target=self._serve, args=(self.listener.accept()[0],), daemon=True
                ).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            end = self._context.wrap_bio(incoming, outgoing, server_side=True)
            with suppress(OSError):
                while not self._shaken(end):
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65536))
            with suppress(OSError):
                connection.sendall(outgoing.read())
                if self._waits:
                    connection.recv(1)
                # Without close_notify.
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

    @staticmethod
    def _shaken(end: ssl.SSLObject) -> bool:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True


@pytest.mark.parametrize("is_curt", [False, True], ids=["alert", "end"])
def test_an_endpoint_that_refuses_after_the_handshake_has_failed(
    folder: Path, port: int, authority: Authority, echo: TlsEcho, *, is_curt: bool
) -> None:
    picky = Picky(authority, is_curt=is_curt)
    endpoints = f'"127.0.0.1:{picky.port}", "127.0.0.1:{echo.port}"'
    more = 'outlier_detection = { consecutive_local = 2, ejection = "60s" }\n'
    text = config(port, folder, endpoints, "verify = true", more)
    with picky.listener, RunningNode(folder, text).until_ready() as node:

        def is_ejected() -> bool:
            with CutOff():
                assert talk(port, b"hello") == b"a"
            return states(node) == {"up", "ejected"}

        until(is_ejected, "the picky one is ejected")
        said = "without close_notify" if is_curt else "CertificateRequired"
        until_health_says(node, said)
        line = logged(folder, "endpoint-cut" if is_curt else "endpoint-tls")
        assert (line["endpoint"], line["bytes_out"]) == (f"127.0.0.1:{picky.port}", 0)
        until_metric(node, failures(picky.port), 2)
        assert talk(port, b"hello") == b"a"


def test_an_endpoint_that_kept_silent_has_accepted(
    folder: Path, port: int, authority: Authority
) -> None:
    picky = Picky(authority, is_curt=True, waits=True)
    more = 'timeouts = { connect = "12s" }\n'
    text = config(port, folder, f'"127.0.0.1:{picky.port}"', "verify = true", more)
    with picky.listener, RunningNode(folder, text).until_ready() as node:
        with CutOff() as cut, socket.create_connection(("127.0.0.1", port), DEADLINE_S) as one:
            until(lambda: node.metric(SECURED) == 1, "hands are shaken")
            shaken = time.monotonic()
            until(lambda: time.monotonic() > shaken + 12.2, "the time to connect is over")
            one.sendall(b"x")
            one.recv(1)
        assert cut.happened
        assert logged(folder, "endpoint-cut")["bytes_in"] == 1
        until_metric(node, failures(picky.port), 0)
