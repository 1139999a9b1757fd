"""Knocking at listeners, names and probes, on servers of our own; and the status socket."""

import contextlib
import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ports import free_port
from tls_authority import Authority
from unclosed import nothing_left_open
from waiting import DEADLINE_S

from headgate.engines.nginx.apply import probes, statussocket
from headgate.engines.nginx.apply.evidence import Expectation, Probe
from headgate.engines.nginx.common.types import ServedName

OK = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers are threads here, which this machine may stall for longer than two seconds."""
    monkeypatch.setattr(probes, "_TIMEOUT_S", DEADLINE_S)


@contextmanager
def answering(
    answer: bytes, context: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that says one thing to everybody; and what it was told."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                # A client that only shakes hands may end with a reset: the next one is served.
                with (
                    contextlib.suppress(OSError),
                    link,
                    context.wrap_socket(link, server_side=True) if context else link as stream,
                ):
                    heard.append(stream.recv(4096))
                    stream.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield "{}:{}".format(*server.getsockname()), heard


def test_a_listener_accepts_or_says_why_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert probes.accepts("{}:{}".format(*server.getsockname())) == ""
    port = free_port()
    assert "Connection refused" in probes.accepts(f"127.0.0.1:{port}")
    assert "does not accept" in probes.accepts(f"0.0.0.0:{port}")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("0.0.0.0:80", ("127.0.0.1", 80)),
        ("[::]:443", ("::1", 443)),
        ("[::1]:1", ("::1", 1)),
        ("10.0.0.1:9", ("10.0.0.1", 9)),
    ],
)
def test_wildcards_are_reached_by_loopback(address: str, expected: tuple[str, int]) -> None:
    assert probes.split_address(address) == expected


def test_probes_compare_the_status() -> None:
    with answering(OK) as (address, heard):
        assert probes.answers(Probe(address, "a.example", "/health", 204)) == ""
        assert heard[0].startswith(b"GET /health HTTP/1.1\r\nHost: a.example\r\n")
        assert "got 204, not 200" in probes.answers(Probe(address, "a.example"))
        assert probes.answers(Probe(address, "a.example", status=204, proxy=True)) == ""
        assert heard[2].startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n")
    with answering(b"HTTP/1.1 204\r\n\r\n") as (address, _):
        assert probes.answers(Probe(address, "a.example", status=204)) == "", "without its reason"
    with answering(b"") as (address, _):
        what = f"probe of a.example/ at {address}"
        assert probes.answers(Probe(address, "a.example")) == f"{what} got nothing, not 200"
    gone = probes.answers(Probe(f"127.0.0.1:{free_port()}", "a.example"))
    assert gone.endswith(" failed: Connection refused")


def test_a_listener_of_udp_cannot_be_knocked_at() -> None:
    assert probes.accepts("udp:127.0.0.1:1") == ""


def test_a_listener_on_a_path_accepts_or_says_why_not(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with nothing_left_open():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(path)
            server.listen()
            assert probes.accepts(f"unix:{path}") == ""
            server.accept()[0].close()
            with probes._connect(f"unix:{path}") as link:
                assert link.gettimeout() == probes._TIMEOUT_S
        refused = f"listener unix:{path} does not accept: Connection refused"
        assert probes.accepts(f"unix:{path}") == refused


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_names_are_asked_for_whatever_tls_their_listener_speaks(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("one", "a.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert_file, pair.key_file)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    leaf = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair.cert_file.read_text())).hexdigest()
    with answering(OK, context) as (address, _):
        assert probes.serves(ServedName(address, "a.example", (leaf,))) == ""


def test_a_name_is_asked_for_behind_a_proxy_header_where_its_listener_expects_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def serves(one: ServedName, *, proxied: bool) -> str:
        return f"{one.name} {proxied}"

    monkeypatch.setattr(probes, "serves", serves)
    names = (
        ServedName("1.2.3.4:1", "own", (), proxied=True),
        ServedName("1.2.3.4:2", "listener", ()),
        ServedName("1.2.3.4:3", "plain", ()),
    )
    expected = Expectation(1, 1, names=names, proxied=frozenset({"1.2.3.4:2"}))
    assert probes.knock(expected) == ("own True", "listener True", "plain False")


class NamelessError(ssl.SSLError):
    """One that OpenSSL has no name for."""

    reason = ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (TimeoutError("timed out"), "timed out"),
        (NamelessError(1, "it is odd"), "it is odd"),
        (ValueError("no port"), "no port"),
        (ValueError(), "ValueError"),
    ],
)
def test_errors_are_told_in_their_own_words(error: Exception, words: str) -> None:
    assert probes._words(error) == words


def test_the_served_leaf_is_compared(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("one", "a.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert_file, pair.key_file)
    leaf = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair.cert_file.read_text())).hexdigest()
    with answering(OK, context) as (address, _):
        assert probes.serves(ServedName(address, "a.example", ("00" * 32, leaf))) == ""
        assert probes.serves(ServedName(address, "*.example", (leaf,))) == ""
        wrong = probes.serves(ServedName(address, "a.example", ("00" * 32,)))
        assert leaf[:12] in wrong
        assert probes.answers(Probe(address, "a.example", status=204, tls=True)) == ""
    with answering(OK) as (address, _):
        wrong = probes.serves(ServedName(address, "a.example", (leaf,)))
        assert wrong.startswith(f"{address}: no TLS for a.example: ")
        assert "_ssl.c" not in wrong, "the reason is enough"


def test_all_that_is_wrong_is_told() -> None:
    with answering(OK) as (address, _):
        expected = Expectation(
            1,
            1,
            listeners=(address, closed := f"127.0.0.1:{free_port()}"),
            probes=(Probe(address, "a", status=204), Probe(address, "b", status=500)),
        )
        assert probes.knock(expected) == (
            f"listener {closed} does not accept: Connection refused",
            f"probe of b/ at {address} got 204, not 500",
        )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n12\n34\n", statussocket.Answer(12, 34)),
        (b"HTTP/1.0 200 OK\r\n\r\n12", statussocket.Answer(12)),
        (b"HTTP/1.1 404 Not Found\r\n\r\n12", None),
        (b"HTTP/1.1 200 OK\r\n\r\nx", None),
        (b"HTTP/1.1 200 OK\r\n\r\n", None),
        (b"", None),
    ],
)
def test_answers_of_the_status_socket(data: bytes, expected: statussocket.Answer | None) -> None:
    assert statussocket.parse(data) == expected


@pytest.mark.parametrize("padding", [0, 4096])
def test_a_status_socket_is_read_to_its_end_or_to_its_most_bytes(
    tmp_path: Path, padding: int
) -> None:
    """Who writes more than fits is not waited for."""
    path, heard = str(tmp_path / "s"), list[bytes]()
    parts = (b"HTTP/1.1 200 OK\r\n\r\n", b"12\n", b"34\n".ljust(padding))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(path)
        server.listen()

        def serve() -> None:
            link, _ = server.accept()
            with link:
                heard.append(link.recv(4096))
                link.sendall(b"".join(parts)[: padding or None])
                if padding:
                    link.recv(1)  # until the client has closed

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert statussocket.ask(path, DEADLINE_S) == statussocket.Answer(12, 34)
        thread.join()
    assert heard == [b"GET /generation HTTP/1.0\r\nHost: headgate\r\n\r\n"]


def test_a_socket_that_is_not_there_answers_nothing(tmp_path: Path) -> None:
    assert statussocket.ask(str(tmp_path / "none.sock")) is None


def test_a_status_socket_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(path)
        silent.listen()
        assert statussocket.ask(path, timeout_s=0.01) is None
