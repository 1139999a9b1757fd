"""The master as a process: its first start, TLS, and what it refuses to start with."""

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tls_authority import Authority
from waiting import until

PASSWORD = "correct horse battery"  # noqa: S105 - of tests


class MasterProcess:
    """A `headgate master` of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.log = folder / "master.log"
        command = [sys.executable, "-c", "from headgate.cli.main import main; main()", "master"]
        command += ["--data", str(folder / "data"), *options]
        environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        until(
            lambda: "/setup#" in self.text() or self.process.poll() is not None, "the set-up link"
        )

    def text(self) -> str:
        """What it printed."""
        return self.log.read_text()

    def link(self) -> tuple[str, str]:
        """The base URL and the token of the set-up link."""
        found = re.search(r"(https?://\S+)/setup#(\S+)", self.text())
        assert found is not None, self.text()
        return found[1], found[2]

    def stop(self) -> int:
        """Ends it as an operator would; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(45)


@contextmanager
def master(folder: Path, *options: str) -> Iterator[MasterProcess]:
    one = MasterProcess(folder, *options)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()


def call(
    url: str, body: object = None, token: str = "", context: ssl.SSLContext | None = None
) -> Any:
    request = urllib.request.Request(url)  # noqa: S310 - a URL of ours
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("content-type", "application/json")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=45, context=context) as answer:  # noqa: S310
        return json.load(answer)


def test_the_first_start_prints_a_link_that_makes_the_administrator(folder: Path) -> None:
    with master(folder, "--listen", "127.0.0.1:0") as one:
        base, token = one.link()
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
