"""Checks over real sockets: connection, TLS, answer."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import loops
import pytest
from lua_nginx import answer_all
from ports import dead_port
from tls_authority import Authority
from waiting import DEADLINE_S

from headgate.engines.nginx.checks import tls
from headgate.engines.nginx.checks.answer import Failure
from headgate.engines.nginx.checks.probe import Terms, probe
from headgate.kernel.ids import BlobId
from headgate.plan.objects import BytesCheck, Expect, HealthCheck, HttpCheck, UpstreamTls

CHECK = HealthCheck(http=HttpCheck(body="well"), timeout_ms=30_000)


def checked(
    address: str, check: HealthCheck = CHECK, context: ssl.SSLContext | None = None, name: str = ""
) -> Failure | None:
    """The result of a check."""
    return loops.run(probe(Terms(check, address, address, context, name, 32_768)))


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A socket that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def serve(server: socket.socket, body: bytes, context: ssl.SSLContext | None = None) -> str:
    """Answers everybody; returns the address."""
    threading.Thread(target=answer_all, args=(server, body, context), daemon=True).start()
    return f"127.0.0.1:{server.getsockname()[1]}"


def test_an_answer_is_judged(server: socket.socket) -> None:
    address = serve(server, b"all is well")
    assert checked(address) is None
    found = checked(address, HealthCheck(http=HttpCheck(statuses=((500, 599),)), timeout_ms=30_000))
    assert found == ("check-status", "the status is 200")


def test_a_connection_is_enough_without_a_request(server: socket.socket) -> None:
    address = f"127.0.0.1:{server.getsockname()[1]}"
    assert checked(address, HealthCheck(timeout_ms=30_000)) is None


def test_an_endpoint_that_wants_a_header_is_told_that_no_client_is_there(
    server: socket.socket,
) -> None:
    address = f"127.0.0.1:{server.getsockname()[1]}"
    check = HealthCheck(timeout_ms=30_000)
    told = loops.run(probe(Terms(check, address, address, None, "", 32_768, is_told=True)))
    assert told is None
    got, _ = server.accept()
    with got:
        got.settimeout(DEADLINE_S)
        assert got.recv(64) == b"PROXY UNKNOWN\r\n"


def test_nobody_answers_and_nobody_listens(server: socket.socket) -> None:
    address = f"127.0.0.1:{server.getsockname()[1]}"
    short = HealthCheck(http=HttpCheck(), timeout_ms=50)
    assert checked(address, short) == ("check-timeout", "no answer in 50 ms")
    with dead_port() as port:
        assert checked(f"127.0.0.1:{port}") == ("check-connect", "Connection refused")


def test_a_unix_socket_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        threading.Thread(target=answer_all, args=(listening, b"well"), daemon=True).start()
        assert checked(f"unix:{path}") is None
    gone = checked(f"unix:{tmp_path}/gone")
    assert gone == ("check-connect", "No such file or directory")


def test_certificates_are_verified_as_the_upstream_says(
    server: socket.socket, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("a", "a.example")
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(pair.cert_file, pair.key_file)
    address = serve(server, b"well", own)
    roots = BlobId("roots")
    blobs = {roots: authority.ca_file.read_bytes()}

    def seen(wanted: UpstreamTls) -> Failure | None:
        context = tls.context_of(wanted, None, blobs)
        return checked(address, CHECK, context, tls.name_of(wanted, address))

    assert seen(UpstreamTls(ca=roots, verify_name="a.example")) is None
    assert seen(UpstreamTls(verify=False)) is None
    for wanted in (UpstreamTls(ca=roots), UpstreamTls(verify_name="a.example")):
        found = seen(wanted)
        assert found is not None
        assert found.reason == "check-tls"


def test_a_server_without_tls_fails_the_handshake(server: socket.socket) -> None:
    address = serve(server, b"well")
    context = tls.context_of(UpstreamTls(verify=False), None, {})
    found = checked(address, CHECK, context, "a.example")
    assert found is not None
    assert found.reason == "check-tls"


def _asks(check: BytesCheck, timeout_ms: int = 30_000) -> HealthCheck:
    return HealthCheck(bytes=check, timeout_ms=timeout_ms)


PONG = BytesCheck(send=b"PING\r\n".hex(), expect=Expect(exact=b"+PONG\r\n".hex()))


def _speak(listening: socket.socket, parts: list[bytes]) -> None:
    """Takes one client, reads what it asks, and answers in parts that do not come together."""
    got, _ = listening.accept()
    with got:
        got.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        got.settimeout(DEADLINE_S)
        assert got.recv(64) == b"PING\r\n"
        for part in parts:
            got.sendall(part)


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([b"+PO", b"NG\r\n"], None),
        ([b"-NOAUTH no\r\n"], Failure("check-answer", r'the answer is "-NOAUTH no\r\n"')),
        ([b"+PONG"], Failure("check-answer", 'the answer is "+PONG"')),
        ([], Failure("check-lost", "the connection closed before the answer")),
    ],
)
def test_bytes_are_sent_and_the_answer_is_compared(
    server: socket.socket, parts: list[bytes], found: Failure | None
) -> None:
    threading.Thread(target=_speak, args=(server, parts), daemon=True).start()
    assert checked(f"127.0.0.1:{server.getsockname()[1]}", _asks(PONG)) == found


@pytest.fixture
def datagrams() -> Iterator[socket.socket]:
    """A socket that takes datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(DEADLINE_S)
        yield one


def _repeat(one: socket.socket) -> None:
    data, peer = one.recvfrom(64)
    one.sendto(data * 2, peer)


@pytest.mark.parametrize(
    ("sent", "expect", "found"),
    [
        ("6162", None, None),
        ("", None, None),
        ("6162", Expect(exact="61626162"), None),
        ("6162", Expect(prefix="6162"), None),
        ("6162", Expect(contains="6261"), None),
        ("6162", Expect(regex="(ab){2}"), None),
        ("6162", Expect(regex="ab"), Failure("check-answer", 'the answer is "abab"')),
        ("6162", Expect(exact="6162"), Failure("check-answer", 'the answer is "abab"')),
    ],
)
def test_a_datagram_is_sent_and_the_first_answer_is_compared(
    datagrams: socket.socket, sent: str, expect: Expect | None, found: Failure | None
) -> None:
    threading.Thread(target=_repeat, args=(datagrams,), daemon=True).start()
    check = _asks(BytesCheck(is_datagram=True, send=sent, expect=expect))
    assert checked(f"127.0.0.1:{datagrams.getsockname()[1]}", check) == found


def test_a_datagram_without_an_answer_and_one_that_nobody_takes(datagrams: socket.socket) -> None:
    address = f"127.0.0.1:{datagrams.getsockname()[1]}"
    check = BytesCheck(is_datagram=True, send="3f")
    assert checked(address, _asks(check, 50)) == ("check-timeout", "no answer in 50 ms")
    datagrams.connect(datagrams.getsockname())
    told = ("check-unreachable", "ICMP said that its port is unreachable")
    assert checked(address, _asks(check)) == told
