"""The master as a process: its first start, TLS, and what it refuses to start with."""

import ssl
import subprocess
import urllib.request
from pathlib import Path

from cryptography import x509
from master_process import PASSWORD, MasterProcess, call, master
from tls_authority import Authority
from waiting import until


def serial_at(port: int) -> int:
    """The serial number of the certificate that a port shows."""
    text = ssl.get_server_certificate(("localhost", port))
    return x509.load_pem_x509_certificate(text.encode()).serial_number


def test_the_first_start_prints_a_link_that_makes_the_administrator(folder: Path) -> None:
    with master(folder, "--listen", "127.0.0.1:0") as one:
        base, token = one.link()
        until(lambda: "the master serves" in one.text(), "its line in the log")
        assert token in one.text().partition("the master serves")[0]
        with urllib.request.urlopen(f"{base}/setup", timeout=45) as page:  # noqa: S310
            assert b"<form>" in page.read()
            assert "default-src 'none'" in page.headers["content-security-policy"]
        body = {"token": token, "name": "ann", "password": PASSWORD}
        tokens = call(f"{base}/api/v1/auth/setup", body)
        assert call(f"{base}/api/v1/auth/me", token=tokens["access_token"])["name"] == "ann"
        assert call(f"{base}/api/v1/health") == {"status": "ok"}
        assert one.stop() == 0
        assert one.text().count(token) == 1
    for path in (folder / "data").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_an_option_prints_a_link_for_another_password_of_a_user(folder: Path) -> None:
    listen = ("--listen", "127.0.0.1:0")
    with master(folder, *listen) as one:
        one.set_up()
        assert one.stop() == 0
    unknown = MasterProcess(folder, *listen, "--new-password", "eve")
    assert unknown.process.wait(45) == 78
    assert 'no user is called "eve"' in unknown.text()
    with master(folder, *listen, "--new-password", "ann") as one:
        base, token = one.link()
        body = {"token": token, "password": "another horse battery"}
        tokens = call(f"{base}/api/v1/auth/setup", body)
        me = call(f"{base}/api/v1/auth/me", token=tokens["access_token"])
        assert (me["name"], me["is_master_admin"]) == ("ann", True)
        assert one.stop() == 0


def test_other_hosts_reach_it_over_tls_only(folder: Path) -> None:
    plain = MasterProcess(folder, "--listen", "0.0.0.0:0")
    assert plain.process.wait(45) == 78
    assert "needs TLS; give --tls-cert" in plain.text()
    authority = Authority(folder)
    pair = authority.issue("one", "localhost")
    options = ("--tls-cert", str(pair.cert_file), "--tls-key", str(pair.key_file))
    with master(folder, "--listen", "0.0.0.0:0", *options) as one:
        base, _ = one.link()
        port = base.rpartition(":")[2]
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        found = call(f"https://localhost:{port}/api/v1/health", context=context)
        assert found == {"status": "ok"}
        # Renewed as by certbot: no restart, no signal.
        again = authority.issue("one", "localhost")
        until(lambda: serial_at(int(port)) == again.serial, "the renewed certificate")
        found = call(f"https://localhost:{port}/api/v1/health", context=context)
        assert found == {"status": "ok"}
        assert one.stop() == 0


def test_a_key_that_does_not_fit_its_certificate_is_refused(folder: Path) -> None:
    authority = Authority(folder)
    cert = authority.issue("one", "localhost").cert_file
    key = authority.issue("two", "localhost").key_file
    options = ("--tls-cert", str(cert), "--tls-key", str(key))
    one = MasterProcess(folder, "--listen", "0.0.0.0:0", *options)
    assert one.process.wait(45) == 78
    assert "cannot be used" in one.text()


def test_a_second_master_in_the_same_directory_is_refused(folder: Path) -> None:
    with master(folder, "--listen", "127.0.0.1:0") as one:
        one.link()
        second = subprocess.run(
            [*one.process.args],  # type: ignore[misc]
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert second.returncode == 78
        assert "another master uses" in second.stderr
