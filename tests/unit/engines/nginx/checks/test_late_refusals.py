"""Checks that want a TLS connection alone, at endpoints that look at our certificate when our
handshake is over."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import loops
import pytest
from tls_authority import Authority
from waiting import DEADLINE_S

from headgate.engines.nginx.checks import probe as module
from headgate.engines.nginx.checks import tls
from headgate.engines.nginx.checks.answer import Failure
from headgate.engines.nginx.checks.probe import Terms, probe
from headgate.kernel.ids import BlobId
from headgate.plan.objects import Certificate, HealthCheck, UpstreamTls

Talk = Callable[[ssl.SSLSocket], None]


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A socket that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoints have all of a check's time to refuse: this machine may stall them."""
    monkeypatch.setattr(module, "_SETTLE_S", DEADLINE_S)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """What endpoints trust."""
    return Authority(tmp_path)


def demanding(authority: Authority) -> ssl.SSLContext:
    """The context of a server of TLS 1.3 that demands certificates of this authority."""
    pair = authority.issue("server", "a.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(pair.cert_file, pair.key_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca_file)
    return context


def serve(server: socket.socket, context: ssl.SSLContext, talk: Talk) -> str:
    """Has `talk` with the first client whose handshake succeeds; returns the address."""

    def session() -> None:
        link, _ = server.accept()
        with contextlib.suppress(OSError), link:
            link.settimeout(DEADLINE_S)
            with context.wrap_socket(link, server_side=True) as stream:
                talk(stream)

    threading.Thread(target=session, daemon=True).start()
    return f"127.0.0.1:{server.getsockname()[1]}"


def checked(address: str, authority: Authority | None) -> Failure | None:
    """The result of a check with a certificate of this authority, if any."""
    blobs: dict[BlobId, bytes] = {}
    own = None
    if authority is not None:
        pair = authority.issue("client", "client.example")
        blobs = {BlobId("c"): pair.cert_file.read_bytes(), BlobId("k"): pair.key_file.read_bytes()}
        own = Certificate(cert=BlobId("c"), key=BlobId("k"))
    context = tls.context_of(UpstreamTls(verify=False), own, blobs)
    check = HealthCheck(timeout_ms=30_000)
    return loops.run(probe(Terms(check, address, address, context, "a.example", 32_768)))


def until_end(stream: ssl.SSLSocket) -> None:
    """Says nothing."""
    stream.recv(1)


def test_an_endpoint_that_refuses_the_certificate_late_fails(
    server: socket.socket, authority: Authority, tmp_path: Path, patient: None
) -> None:
    (tmp_path / "other").mkdir()
    for own in (None, Authority(tmp_path / "other", "other")):
        found = checked(serve(server, demanding(authority), until_end), own)
        assert found is not None
        assert found.reason == "check-tls"


def test_a_connection_that_breaks_off_after_the_handshake_fails(
    server: socket.socket, authority: Authority, patient: None
) -> None:
    def leave(stream: ssl.SSLSocket) -> None:
        stream.shutdown(socket.SHUT_RDWR)

    found = checked(serve(server, demanding(authority), leave), authority)
    assert found == ("check-tls", "the connection closed after the TLS handshake")


@pytest.mark.parametrize("talk", [until_end, lambda s: s.sendall(b"220"), lambda s: s.unwrap()])
def test_an_endpoint_that_takes_the_certificate_passes(
    server: socket.socket, authority: Authority, talk: Talk
) -> None:
    assert checked(serve(server, demanding(authority), talk), authority) is None
