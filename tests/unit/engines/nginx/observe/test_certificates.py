"""Certificates on disk and as served, and what is wrong between the two."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from odd_certificates import KEY_PEM, ODD, duplicate_extension, edi_name, latin_name, version_2
from tls_authority import Authority, Pair, new_key
from waiting import DEADLINE_S

from headgate.engines.nginx.instance.rooted import RootedFiles
from headgate.engines.nginx.observe.certificates import (
    BadCertificateError,
    CertificateFile,
    Reader,
    parse_der,
)
from headgate.engines.nginx.observe.served import Served, findings, probe

_NOW = time.time()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def _read(pair: Pair) -> CertificateFile:
    return Reader("/").read(str(pair.cert_file), str(pair.key_file))


def _codes(*files: CertificateFile) -> list[str]:
    return [finding.code for finding in findings(files, [], _NOW)]


def test_a_pair_is_read_from_where_its_nginx_sees_it(authority: Authority, tmp_path: Path) -> None:
    authority.issue("a", "a.example", "*.a.example", "192.0.2.1", days=60)
    found = Reader(f"/{tmp_path.name}", RootedFiles(tmp_path.parent)).read("a.pem", "x.key")
    assert found.leaf is not None
    assert found.leaf.subject == "a.example"
    assert found.leaf.names == ("a.example", "*.a.example", "192.0.2.1")
    assert 59 < found.leaf.days_left(_NOW) < 61
    assert found.problem == "key: No such file or directory"


@pytest.mark.parametrize("is_rsa", [False, True])
def test_a_key_fits_or_not(authority: Authority, *, is_rsa: bool) -> None:
    a = authority.issue("a", "a.example", is_rsa=is_rsa)
    b = authority.issue("b", "b.example", is_rsa=is_rsa)
    assert _read(a).key == "fits"
    crossed = Reader("/").read(str(a.cert_file), str(b.key_file))
    assert crossed.key == "differs"
    assert _codes(crossed) == ["key_differs"]


def test_a_key_that_is_encrypted_is_unknown_not_wrong(authority: Authority, tmp_path: Path) -> None:
    a = authority.issue("a", "a.example")
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        new_key().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    found = Reader("/").read(str(a.cert_file), str(locked))
    assert (found.key, found.problem) == ("unknown", "key: it is encrypted")
    assert _codes(found) == []


@pytest.mark.parametrize(("days", "codes"), [(60, []), (5, ["expires_soon"]), (-3, ["expired"])])
def test_expiry_is_a_finding(authority: Authority, days: int, codes: list[str]) -> None:
    assert _codes(_read(authority.issue("a", "a.example", days=days))) == codes


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nonsense")
    reader = Reader(str(tmp_path))
    assert _codes(reader.read("x.pem")) == ["unreadable"]
    assert _codes(reader.read("none.pem")) == ["unreadable"]
    assert _codes(reader.read("$ssl_server_name.pem")) == []


@pytest.fixture
def listener(authority: Authority) -> Iterator[tuple[str, Pair, list[str | None]]]:
    """Serves `old`; the list is what names were asked for."""
    old = authority.issue("old", "a.example", "*.a.example", days=20)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(old.cert_file, old.key_file)
    asked: list[str | None] = []

    def remember(_: ssl.SSLObject, name: str | None, __: ssl.SSLContext) -> None:
        asked.append(name)

    context.sni_callback = remember
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            while True:
                try:
                    plain, _ = server.accept()
                    context.wrap_socket(plain, server_side=True).close()
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=run, daemon=True).start()
        yield f"0.0.0.0:{server.getsockname()[1]}", old, asked


def test_what_is_served_is_compared_with_the_file(
    listener: tuple[str, Pair, list[str | None]], authority: Authority
) -> None:
    address, old, asked = listener
    names = ("a.example", "*.a.example", "_")
    answers = [probe(address, name, timeout_s=DEADLINE_S) for name in names]
    assert asked == ["a.example", "headgate-probe.a.example", None]
    disk = _read(old)
    assert all(answer.leaf == disk.leaf for answer in answers)
    assert findings([], [((disk,), answers[0])], _NOW) == []
    renewed = _read(authority.issue("renewed", "a.example", "*.a.example", days=90))
    found = findings([], [((renewed,), answer) for answer in answers], _NOW)
    assert [finding.code for finding in found] == ["not_loaded"]
    assert "renewed, but nginx was not reloaded" in found[0].message
    # One of several certificates of a server is enough.
    assert findings([], [((renewed, disk), answers[0])], _NOW) == []


def test_a_listener_that_serves_none_is_said(authority: Authority) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        answer = probe(f"127.0.0.1:{nobody.getsockname()[1]}", "a.example")
    assert answer.leaf is None
    file = _read(authority.issue("a", "a.example", days=60))
    assert [f.code for f in findings([file], [((file,), answer)], _NOW)] == ["not_served"]


def test_an_address_that_is_none_is_a_problem_not_an_error() -> None:
    assert probe("unix:/x", "a.example") == Served(
        "unix:/x", "a.example", None, probe("unix:/x", "a.example").problem
    )


@pytest.mark.parametrize("make", ODD)
def test_reading_a_pair_never_raises(tmp_path: Path, make: Callable[[], bytes]) -> None:
    (tmp_path / "odd.pem").write_bytes(make())
    (tmp_path / "odd.key").write_bytes(KEY_PEM)
    found = Reader(str(tmp_path)).read("odd.pem", "odd.key")
    if make is version_2:
        assert found.leaf is None
        assert found.problem == "it is of a version or a form that we cannot read"
        return
    assert (found.problem, found.key) == ("", "fits")
    assert found.leaf is not None
    assert (found.leaf.subject, found.leaf.names) == ("", ())
    assert 29 < found.leaf.days_left(_NOW) < 31


@pytest.mark.parametrize("make", [latin_name, duplicate_extension, edi_name])
def test_a_served_certificate_is_read_as_far_as_it_can_be(make: Callable[[], bytes]) -> None:
    assert len(parse_der(ssl.PEM_cert_to_DER_cert(make().decode())).sha256) == 64


def test_a_served_certificate_of_another_version_is_a_bad_one() -> None:
    with pytest.raises(BadCertificateError):
        parse_der(ssl.PEM_cert_to_DER_cert(version_2().decode()))
