"""Every way a reload of the real nginx fails, as measured: seen, undone, told with its cause.

A client asks on fresh connections all the time. Where nginx itself has an outage (its workers die
at their start), what is lost is what nginx loses until it is undone; everywhere else nothing is.
"""

import base64
import hashlib
import http.client
import math
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import free_port
from real_nginx import SITE, Client, RealNginx, foreign_listener
from tls_authority import Authority
from waiting import DEADLINE_S, until

from headgate.engines.nginx.apply.results import Applied, Rejected
from headgate.engines.nginx.common.types import Generation, ServedName
from headgate.engines.nginx.releases.names import ReleaseName

NAME = "tls.example"


@pytest.fixture
def nginx(folder: Path) -> Iterator[RealNginx]:
    """An nginx with all checks, serving generation 1."""
    with RealNginx(folder) as running:
        running.must_apply()
        yield running


@pytest.fixture
def blind(folder: Path) -> Iterator[RealNginx]:
    """The same with `nginx -t` as the only check, so that VERIFY has to see it."""
    with RealNginx(folder, blind=True) as running:
        running.must_apply()
        yield running


def assert_untouched(nginx: RealNginx, result: Rejected) -> None:
    """The old release serves, is current on disk, and nothing was signalled."""
    assert nginx.generation() == 1
    assert nginx.links()["current"].startswith("1-")
    assert result.outcome is None
    assert [one.step for one in nginx.phases].count("signal") == 1, "only the first apply's"


def assert_undone(nginx: RealNginx, result: Rejected) -> None:
    """The old release serves again, proven, and is current on disk."""
    assert nginx.generation() == 1
    assert nginx.links()["current"].startswith("1-")
    assert str(result.serving).startswith("1-")
    assert not result.is_degraded


@pytest.mark.parametrize(
    ("http", "code", "line"),
    [
        ("# route shop\nserver {\n  listen_to 80;\n}", "syntax", 3),
        ("\nssl_certificate missing.pem;\nssl_certificate_key missing.key;", "certificate", 2),
        ("\nupstream u { server no-such-host.invalid:80; }", "unresolvable", 2),
        ("\n\nserver { location / { proxy_pass http://typo; } }", "unresolvable", 3),
        ("server {", "syntax", 1),
    ],
)
def test_what_nginx_itself_refuses_changes_nothing(
    nginx: RealNginx, http: str, code: str, line: int
) -> None:
    with Client(nginx.port) as client:
        result = nginx.must_refuse(http=http)
    assert result.cause.code == code
    assert (result.cause.file, result.cause.line) == ("http/extra.conf", line)
    assert_untouched(nginx, result)
    assert client.lost == []


def test_a_syntax_error_names_the_object_it_is_in(nginx: RealNginx) -> None:
    result = nginx.must_refuse(http="# route shop\nserver {\n  listen_to 80;\n}")
    assert result.text() == (
        "generation 2 refused at test: route shop: http/extra.conf:3:"
        f' unknown directive "listen_to" in {nginx.store.path(result_name(result))}'
        "/http/extra.conf:3"
    )


def result_name(result: Rejected) -> ReleaseName:
    assert result.release is not None
    return result.release


def test_a_key_of_another_certificate_is_found_before_nginx_is_asked(
    nginx: RealNginx, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    one, two = authority.issue("one", NAME), authority.issue("two", NAME)
    result = nginx.must_refuse(
        http="ssl_certificate certs/a.pem;\nssl_certificate_key certs/a.key;",
        files={"certs/a.pem": one.cert_file.read_bytes(), "certs/a.key": two.key_file.read_bytes()},
    )
    assert (result.step, result.cause.code) == ("lint", "certificate")
    assert_untouched(nginx, result)


def test_an_expired_certificate_is_told_and_served(nginx: RealNginx, tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("old", NAME, days=-1)
    result = nginx.must_apply(
        http="ssl_certificate certs/a.pem;\nssl_certificate_key certs/a.key;",
        files={
            "certs/a.pem": pair.cert_file.read_bytes(),
            "certs/a.key": pair.key_file.read_bytes(),
        },
    )
    assert "expired" in [warning.code for warning in result.warnings]


def tls_site(port: int, certificate: str) -> str:
    return f"""
# host {NAME}
server {{
    listen 127.0.0.1:{port} ssl;
    server_name {NAME};
    ssl_certificate {certificate}.pem;
    ssl_certificate_key {certificate}.key;
}}"""


def test_a_certificate_behind_a_variable_that_is_missing_is_found(nginx: RealNginx) -> None:
    http = tls_site(free_port(), "certs/$ssl_server_name")
    result = nginx.must_refuse(http=http)
    assert (result.step, result.cause.code) == ("lint", "certificate")
    assert (result.cause.file, result.cause.line) == ("http/extra.conf", 6)
    assert result.cause.object == f"host {NAME}"
    assert_untouched(nginx, result)


def test_a_certificate_behind_a_variable_that_is_missing_is_undone(blind: RealNginx) -> None:
    port = free_port()
    names = (ServedName(f"127.0.0.1:{port}", NAME, ("00" * 32,)),)
    with Client(blind.port) as client:
        result = blind.must_refuse(
            http=tls_site(port, "certs/$ssl_server_name"),
            listeners=(f"127.0.0.1:{port}",),
            names=names,
        )
    assert result.outcome == "PARTIAL"
    assert f"no TLS for {NAME}" in result.cause.text
    assert_undone(blind, result)
    assert client.lost == []


def test_a_certificate_that_is_not_the_releases_is_undone(blind: RealNginx, tmp_path: Path) -> None:
    port = free_port()
    pair = Authority(tmp_path).issue("one", NAME)
    files = {"certs/a.pem": pair.cert_file.read_bytes(), "certs/a.key": pair.key_file.read_bytes()}
    leaf = hashlib.sha256(ssl.PEM_cert_to_DER_cert(files["certs/a.pem"].decode())).hexdigest()
    address = f"127.0.0.1:{port}"

    def names(digest: str) -> tuple[ServedName, ...]:
        return (ServedName(address, NAME, (digest,)),)

    http = tls_site(port, "certs/a")
    assert isinstance(blind.apply(http=http, files=files, names=names(leaf)), Applied)
    result = blind.must_refuse(http=http, files=files, names=names("11" * 32))
    assert result.outcome == "PARTIAL"
    assert "not that of the release" in result.cause.text
    assert blind.generation() == 2


ZONES = [
    ("limit_req_zone $uri zone=z:1m rate=1r/s;", "limit_req_zone $host zone=z:1m rate=1r/s;"),
    (
        "proxy_cache_path {root}/run/one keys_zone=z:1m;",
        "proxy_cache_path {root}/run/two keys_zone=z:1m;",
    ),
    ("limit_conn_zone $uri zone=z:1m;", "limit_conn_zone $host zone=z:1m;"),
]
USE = ["limit_req zone=z;", "proxy_cache z;", "limit_conn z 5;"]


def zone_change(nginx: RealNginx, index: int) -> tuple[str, str]:
    use = f"server {{ listen unix:{nginx.root}/run/z.sock; location / {{ {USE[index]} }} }}"
    before, after = (text.format(root=nginx.root) + use for text in ZONES[index])
    return before, after


@pytest.mark.parametrize("index", range(len(ZONES)))
def test_a_zone_that_means_something_else_is_found(nginx: RealNginx, index: int) -> None:
    before, after = zone_change(nginx, index)
    nginx.must_apply(http=before)
    result = nginx.must_refuse(http=after)
    assert (result.step, result.cause.code) == ("lint", "zone_clash")
    assert (result.cause.file, result.cause.line) == ("http/extra.conf", 1)
    assert nginx.generation() == 2


@pytest.mark.parametrize("index", range(len(ZONES)))
def test_a_zone_that_means_something_else_is_rejected_and_only_relinked(
    blind: RealNginx, index: int
) -> None:
    before, after = zone_change(blind, index)
    blind.must_apply(http=before)
    blind.until_drained()
    workers = blind.instance.workers()
    with Client(blind.port) as client:
        result = blind.must_refuse(http=after)
    assert (result.outcome, result.cause.code) == ("REJECTED", "zone_clash")
    assert "while previously" in result.cause.text
    assert str(result.serving).startswith("2-")
    assert blind.instance.workers() == workers, "no HUP was sent to undo it"
    assert client.lost == []


def test_the_renderers_word_on_zones_is_compared_too(nginx: RealNginx) -> None:
    nginx.must_apply(zones={"hg_limit_1": "$uri 1m"})
    result = nginx.must_refuse(zones={"hg_limit_1": "$host 1m"})
    assert (result.step, result.cause.code) == ("lint", "zone_clash")


def test_a_zone_of_another_size_is_applied_and_told(nginx: RealNginx) -> None:
    nginx.must_apply(http="limit_req_zone $uri zone=z:1m rate=1r/s;")
    result = nginx.must_apply(http="limit_req_zone $uri zone=z:2m rate=1r/s;")
    assert [warning.code for warning in result.warnings] == ["zone_resized"]


def listening(taken: socket.socket) -> tuple[str, str]:
    address = "{}:{}".format(*taken.getsockname())
    return address, f"server {{ listen {address}; }}"


def test_a_port_that_somebody_else_holds_is_found(nginx: RealNginx) -> None:
    with foreign_listener() as taken:
        address, http = listening(taken)
        result = nginx.must_refuse(http=http, listeners=(address,))
    assert (result.step, result.cause.code) == ("preflight", "port_held")
    assert f"{address} is held by " in result.cause.text
    assert result.is_transient
    assert_untouched(nginx, result)


def test_a_port_that_somebody_else_holds_is_rejected_and_undone(blind: RealNginx) -> None:
    with foreign_listener() as taken, Client(blind.port) as client:
        address, http = listening(taken)
        result = blind.must_refuse(http=http, listeners=(address,))
    assert (result.outcome, result.cause.code) == ("REJECTED", "port_held")
    assert_undone(blind, result)
    assert client.lost == []


def test_a_working_directory_that_is_missing_is_found(nginx: RealNginx) -> None:
    result = nginx.must_refuse(main="working_directory /no/such/folder;")
    assert (result.step, result.cause.code) == ("lint", "worker_init")
    assert result.cause.file == "nginx.conf"
    assert_untouched(nginx, result)


def test_workers_that_all_die_are_undone_and_requests_hang_until_then(folder: Path) -> None:
    def note(point: str) -> None:
        if point == "signal:recorded":
            signalled.append(time.monotonic())

    signalled: list[float] = []
    with RealNginx(folder, blind=True, on_step=note) as nginx:
        nginx.must_apply()
        with Client(nginx.port, timeout_s=1.0) as client:
            result = nginx.must_refuse(main="working_directory /no/such/folder;")
            outage_s = time.monotonic() - signalled[-1]
            # What a busy machine held up before is none of this outage.
            lost = [one for at, one in client.lost if at >= signalled[-1]]
            back = client.answers
            until(lambda: client.answers >= back + 20, "answers")
        assert (result.outcome, result.cause.code) == ("BROKEN", "worker_init")
        assert "cannot be respawned" in result.cause.text
        assert_undone(nginx, result)
    # One client, one request at a time: it hangs for its second while nobody accepts, and one may
    # be cut off. How soon it is undone is shown with a clock of the test's own (test_machine.py).
    assert len(lost) <= 1 + math.ceil(outage_s), lost


def test_a_password_file_that_is_missing_is_found(nginx: RealNginx) -> None:
    http = (
        'server {\n  listen 127.0.0.1:1;\n  auth_basic "r";\n  auth_basic_user_file htpasswd/a;\n}'
    )
    result = nginx.must_refuse(http=http)
    assert (result.step, result.cause.code) == ("lint", "password_file")
    assert (result.cause.file, result.cause.line) == ("http/extra.conf", 4)
    assert_untouched(nginx, result)


def asked_as(port: int, credentials: str | None) -> int:
    """The status of a request with these credentials (`NAME:PASSWORD`)."""
    headers = {"host": "site.example"}
    if credentials is not None:
        headers["authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_password_file_in_the_release_can_be_read_by_workers(nginx: RealNginx) -> None:
    port = free_port()
    http = (
        f'server {{ listen 127.0.0.1:{port}; auth_basic "r"; auth_basic_user_file htpasswd/a;'
        " location / { try_files /none =418; } }"
    )
    nginx.must_apply(http=http, files={"htpasswd/a": b"ann:{PLAIN}secret\n"})
    assert asked_as(port, "ann:secret") == 418  # let in: a worker has read the file
    assert asked_as(port, "ann:wrong") == 401
    assert asked_as(port, None) == 401


def test_a_server_name_that_is_taken_is_found(nginx: RealNginx) -> None:
    again = SITE.format(port=nginx.port, generation=9)
    result = nginx.must_refuse(http=again)
    assert (result.step, result.cause.code) == ("lint", "duplicate_name")
    assert "http/site.conf:3" in result.cause.text or "http/extra.conf" in result.cause.text
    assert_untouched(nginx, result)


def test_a_server_name_that_is_taken_is_refused_by_the_test_too(blind: RealNginx) -> None:
    result = blind.must_refuse(http=SITE.format(port=blind.port, generation=9))
    assert (result.step, result.cause.code) == ("test", "duplicate_name")
    assert_untouched(blind, result)


def test_a_host_that_is_resolved_at_start_only_is_told(nginx: RealNginx) -> None:
    result = nginx.must_apply(http="upstream u { server localhost:80; }")
    assert [warning.code for warning in result.warnings] == ["resolved_at_start"]


def test_generations_are_never_used_twice(nginx: RealNginx) -> None:
    nginx.must_refuse(http="nonsense;")
    assert nginx.must_apply().generation == Generation(3)
