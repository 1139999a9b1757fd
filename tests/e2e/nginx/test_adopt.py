"""`headgate nginx adopt` on a real nginx: everything is in the picture, nothing is touched."""

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from ports import free_port
from real_nginx import Client, RealNginx
from running_node import HEADGATE, get
from tls_authority import Authority, Pair
from waiting import DEADLINE_S, until

from headgate.engines.nginx.watch.adoption import Adopted

_SITES = """
log_format own '$remote_addr "$request" $status $bytes_sent $request_time $upstream_addr '
               '$upstream_header_time $upstream_status $host';
upstream pool {{ least_conn; server 127.0.0.1:{dead} max_fails=0; }}
server {{
    listen 127.0.0.1:{port};
    server_name site.example;
    access_log {logs}/site.log own;
    location / {{ return 200 "ok"; }}
    location /api {{ proxy_pass http://pool; }}
    location /files {{ alias /srv/files/; }}
}}
server {{
    listen 127.0.0.1:{tls} ssl;
    server_name tls.example;
    access_log off;
    ssl_certificate {pair.cert_file};
    ssl_certificate_key {pair.key_file};
    location / {{ return 200 "tls"; }}
}}
server {{
    listen 127.0.0.1:{status};
    access_log {logs}/status.log;
    location = /stub {{ stub_status; }}
}}
"""


class _Site:
    """A running nginx with everything there is to see."""

    def __init__(self, nginx: RealNginx, pair: Pair, authority: Authority) -> None:
        self.nginx = nginx
        self.pair = pair
        self.authority = authority

    def adopted(self, *options: str) -> Adopted:
        """The picture that the command gives."""
        done = self.run("--output", "json", *options)
        assert done.returncode == 0, done.stderr
        (one,) = msgspec.json.decode(done.stdout, type=list[Adopted])
        return one

    def run(self, *options: str) -> "subprocess.CompletedProcess[str]":
        """The command for this nginx."""
        master = self.nginx.instance.master()
        assert master is not None
        return subprocess.run(
            [HEADGATE, "nginx", "adopt", "--pid", str(master.pid), "--seconds", "1", *options],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S * 3,
            check=False,
        )

    def prints(self) -> dict[str, tuple[int | str, ...]]:
        """Everything of it on disk but what traffic writes."""
        found: dict[str, tuple[int | str, ...]] = {}
        for path in sorted(self.nginx.root.rglob("*")):
            about = path.lstat()
            is_log = path.name == "site.log"
            content = ""
            if path.is_file() and not path.is_symlink() and not is_log:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            times = (0, 0) if is_log else (about.st_mtime_ns, about.st_ctime_ns)
            found[str(path)] = (about.st_mode, about.st_uid, about.st_ino, *times, content)
        return found


@pytest.fixture
def site(folder: Path, dead: int) -> Iterator[_Site]:
    with RealNginx(folder, blind=True) as nginx:
        (folder / "logs").chmod(0o777)
        (folder / "tls").mkdir()
        authority = Authority(folder / "tls")
        pair = authority.issue("a", "tls.example", days=60)
        text = _SITES.format(
            port=nginx.port,
            tls=free_port(),
            dead=dead,
            status=free_port(),
            logs=folder / "logs",
            pair=pair,
        )
        nginx.must_apply(site=text)
        yield _Site(nginx, pair, authority)


def test_everything_that_is_served_is_in_the_picture(site: _Site) -> None:
    found: list[Adopted] = []

    def has_traffic() -> bool:
        found.append(site.adopted())
        return bool(found[-1].live.requests)

    with Client(site.nginx.port):
        until(has_traffic, "requests within a second")
    one = found[-1]
    assert one.conf.endswith("/current/nginx.conf")
    assert [each.role for each in one.processes] == ["master", "worker", "worker"]
    names = {name for host in one.picture.hosts for name in host.names}
    assert {"site.example", "tls.example"} <= names
    assert any(route.target == "http://pool" for route in one.picture.routes)
    assert any(upstream.name == "pool" for upstream in one.picture.upstreams)
    assert any("alias" in finding.id for finding in one.picture.findings)
    assert one.live.source == "access_log"
    (rate,) = one.live.sites
    assert (rate.name, set(rate.status)) == ("site.example", {"2xx"})
    assert rate.p99_ms is not None
    assert {Path(log.path).name for log in one.logs if not log.problem} >= {"site.log"}


def test_a_certificate_that_was_renewed_and_not_loaded_is_found(site: _Site) -> None:
    (before,) = site.adopted().certificates
    assert before.servers == ("tls.example",)
    assert before.file.key == "fits"
    assert [served.leaf for served in before.served] == [before.file.leaf]
    site.authority.issue("a", "tls.example", days=90)
    after = site.adopted()
    assert [finding.code for finding in after.certificate_findings] == ["not_loaded"]
    assert "renewed" in after.certificate_findings[0].message


def test_a_failing_endpoint_is_shown_under_its_upstream_s_name(site: _Site) -> None:
    with subprocess.Popen(
        [
            *(HEADGATE, "nginx", "adopt", "--watch", "--output", "json", "--seconds", "0.5"),
            *("--pid", str(_pid(site))),
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        first = msgspec.json.decode(command.stdout.readline(), type=Adopted)
        assert first.live.requests == 0
        failures = 0.0
        while not failures:
            assert get(site.nginx.port, "/api", "site.example")[0] == 502
            now = msgspec.json.decode(command.stdout.readline(), type=Adopted)
            failures = sum(backend.failures for backend in now.live.backends)
        assert all(backend.name.startswith("pool/") for backend in now.live.backends)
        command.send_signal(signal.SIGINT)
        assert command.wait(DEADLINE_S) == 0


def test_nothing_on_disk_is_changed(site: _Site) -> None:
    before = site.prints()
    assert site.run().returncode == 0
    site.adopted()
    assert site.prints() == before


def test_of_status_pages_only_one_that_is_not_logged_is_asked(site: _Site) -> None:
    one = site.adopted()
    assert one.live.connections is not None
    assert (site.nginx.root / "logs/status.log").read_bytes() == b""


def test_the_tables_name_what_there_is(site: _Site) -> None:
    done = site.run()
    assert done.returncode == 0, done.stderr
    for word in ("site.example", "tls.example", "http://pool", "60 days", "as on disk"):
        assert word in done.stdout
    assert "PRIVATE KEY" not in done.stdout


def test_where_no_nginx_runs_it_is_said() -> None:
    done = subprocess.run(
        [HEADGATE, "nginx", "adopt", "--pid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S * 3,
    )
    assert done.returncode == 1
    assert f"no nginx master with pid {os.getpid()} runs here" in done.stderr


def _pid(site: _Site) -> int:
    master = site.nginx.instance.master()
    assert master is not None
    return master.pid
