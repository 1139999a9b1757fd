"""`mode = "guest"`: an nginx.conf of others includes our releases by one line."""

import contextlib
import os
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from foreign_nginx import ForeignNginx
from ports import free_port
from running_node import RunningNode, Upstream, config, get
from tls_authority import Authority
from told import answering, until_metric, until_status_says
from waiting import DEADLINE_S, until

from headgate.engines.nginx.apply.guard import guard

HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
"""Of the password `x`."""


def include(folder: Path) -> str:
    """The line that takes us in."""
    return f"include {folder}/s/nginx/current/http.conf;"


pytestmark = pytest.mark.usefixtures("probed")


@pytest.fixture
def theirs(folder: Path, binary: Path) -> Iterator[ForeignNginx]:
    """An nginx of others; the line was added after it was started, as one does."""
    with ForeignNginx(folder, binary) as nginx:
        nginx.write(include(folder))
        yield nginx


def text(conf: Path, port: int, upstream: str, *, start: str = "external", more: str = "") -> str:
    """A config with one route, served by the nginx of others."""
    nginx = f"""
engine = "nginx"

[node.nginx]
mode = "guest"
start = "{start}"
conf = "{conf}"
{more}
"""
    return config(port, upstream, extra=nginx)


@pytest.fixture
def node(folder: Path, theirs: ForeignNginx, port: int, one: Upstream) -> Iterator[RunningNode]:
    """A node whose route is served by that nginx."""
    with RunningNode(folder, text(theirs.conf, port, one.address)) as running:
        yield running.until_ready()


def about(node: RunningNode) -> dict[str, Any]:
    return node.engine()


def last_applied(node: RunningNode) -> object:
    """The generation of the last apply that ended."""
    return about(node)["nginx"]["last_generation"]


def events(node: RunningNode) -> str:
    return node.log.read_text()


def test_routes_are_served_beside_what_was_there_and_follow_changes(
    node: RunningNode, theirs: ForeignNginx, port: int, two: Upstream
) -> None:
    assert get(port) == (200, b"one")
    assert get(theirs.port, host="theirs.example") == (200, b"theirs")
    until(lambda: about(node)["drift"] == "in sync", "the first look")
    found = answering(node)
    nginx = found["nginx"]
    assert (nginx["mode"], nginx["running"]) == ("guest", 1)
    assert (found["pid"], nginx["conf"]) == (theirs.master, str(theirs.conf))
    # Their error log was found and read.
    assert "unknown" not in found["last_apply"]["text"]
    shown = until_status_says(node, "running 1")
    assert "mode guest, started by others" in shown
    assert "boot safe   NO: put `headgate nginx guard` into what starts nginx" in shown
    assert "generation  desired 1, on disk 1, running 1" in shown
    node.write(text(theirs.conf, port, two.address))
    until(lambda: last_applied(node) == 2, "the change, proven, and the end of its apply")
    assert get(port)[1] == b"two"
    back = node.command("nginx", "rollback")
    assert back.returncode == 0, back.stderr
    assert get(port)[1] == b"one"


def asking(config: str, *users: str) -> str:
    """The same config, which asks for the password of one of these users: `x`."""
    listed = ", ".join(f'"{user}:{HASH}"' for user in users)
    chain = f"middlewares = [{{ basic_auth = {{ users = [{listed}], realm = 'r' }} }}]"
    return config.replace("[routes.all]", f"[routes.all]\n{chain}")


def status_for(port: int, user: str) -> int:
    """The status of a request with that user's password."""
    return status_with(port, authorization=f"Basic {b64encode(f'{user}:x'.encode()).decode()}")


def status_with(port: int, **headers: str) -> int:
    """The status of a request with these headers, `_` for `-`."""
    sent = {"host": "a.example", **{one.replace("_", "-"): text for one, text in headers.items()}}
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)) as connection:
        connection.request("GET", "/", headers=sent)
        return connection.getresponse().status


OPENING = """satisfy any; allow all; limit_req_dry_run on;
    set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For;"""


@pytest.mark.parametrize(
    ("chain", "refused"),
    [
        (f'{{ basic_auth = {{ users = ["ann:{HASH}"], realm = "r" }} }}', 401),
        ('{ ip_access = { allow = ["192.0.2.0/24"] } }', 403),
        ('{ rate_limit = { rate = "1/m", burst = 1 } }', 429),
    ],
)
def test_what_others_have_in_http_opens_no_route(
    folder: Path, theirs: ForeignNginx, port: int, one: Upstream, chain: str, refused: int
) -> None:
    theirs.write(include(folder), http=OPENING)
    plain = text(theirs.conf, port, one.address)
    closed = plain.replace("[routes.all]", f"[routes.all]\nmiddlewares = [{chain}]")
    with RunningNode(folder, closed) as node:
        node.until_ready()
        found = [status_with(port, x_forwarded_for="192.0.2.1") for _ in range(3)]
        assert found[-1] == refused, found


SECURE = """
[listeners.secure]
address = "127.0.0.1:{port}"
default = true
tls = {{ default_certificate = "main" }}
"""


def test_what_others_ask_clients_for_in_http_is_not_asked_here(
    folder: Path, theirs: ForeignNginx, port: int, one: Upstream
) -> None:
    authority = Authority(folder)
    secure = free_port()
    asked = f"ssl_client_certificate {authority.ca_file}; ssl_verify_client on;"
    theirs.write(include(folder), http=asked + " proxy_pass_request_headers off;")
    more = SECURE.format(port=secure) + authority.issue("main", "a.example").toml("main")
    with RunningNode(folder, text(theirs.conf, port, one.address) + more) as node:
        node.until_ready()
        known = ssl.create_default_context(cafile=authority.ca_file)
        with contextlib.closing(
            HTTPSConnection("a.example", secure, timeout=DEADLINE_S, context=known)
        ) as connection:
            plain = socket.create_connection(("127.0.0.1", secure), DEADLINE_S)
            connection.sock = known.wrap_socket(plain, server_hostname="a.example")
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"one")


def test_a_rollback_lets_nobody_in_again_who_was_removed(
    folder: Path, theirs: ForeignNginx, port: int, one: Upstream
) -> None:
    plain = text(theirs.conf, port, one.address)
    with RunningNode(folder, asking(plain, "ann", "bob")) as node:
        node.until_ready()
        assert [status_for(port, user) for user in ("ann", "bob")] == [200, 200]
        node.write(asking(plain, "ann"))
        until(lambda: last_applied(node) == 2, "the change, proven, and the end of its apply")
        assert [status_for(port, user) for user in ("ann", "bob")] == [200, 401]
        back = node.command("nginx", "rollback")
        assert back.returncode == 0, back.stderr
        assert [status_for(port, user) for user in ("ann", "bob")] == [200, 401]


def test_a_pattern_lets_nginx_start_before_there_is_a_release(
    folder: Path, binary: Path, port: int, one: Upstream
) -> None:
    line = include(folder).replace("http.conf", "http.con[f]")
    theirs = ForeignNginx(folder, binary, include=line)
    with theirs, RunningNode(folder, text(theirs.conf, port, one.address)) as node:
        node.until_ready()
        assert get(port) == (200, b"one")


def test_systemd_may_be_who_starts_it(
    folder: Path, theirs: ForeignNginx, port: int, one: Upstream
) -> None:
    with RunningNode(folder, text(theirs.conf, port, one.address, start="systemd")) as node:
        node.until_ready()
        assert get(port) == (200, b"one")
        shown = node.command("status").stdout
        assert "started by systemd" in shown
        assert "into its unit (deploy/systemd), before nginx" in shown


def test_without_the_line_it_is_refused_with_the_line_and_the_place(
    folder: Path, binary: Path, port: int, one: Upstream
) -> None:
    with ForeignNginx(folder, binary) as theirs:
        at = theirs.conf.read_text().splitlines().index("http {") + 1
        with RunningNode(folder, text(theirs.conf, port, one.address)) as node:
            assert node.process.wait(DEADLINE_S) == 78
            said = node.log.read_text()
            assert "node.nginx.conf" in said
            assert f"add `{include(folder)}` inside the http block at {theirs.conf}:{at}" in said
        assert get(theirs.port, host="theirs.example") == (200, b"theirs")


def test_what_nginx_refuses_leaves_everything_as_it_was(
    node: RunningNode, theirs: ForeignNginx, port: int, two: Upstream
) -> None:
    theirs.write(include(node.folder), http="no_such_directive on;")
    node.write(text(theirs.conf, port, two.address))
    refused = node.command("reload")
    assert refused.returncode != 0
    assert "no_such_directive" in refused.stdout + refused.stderr
    assert get(port)[1] == b"one"
    assert about(node)["nginx"]["on_disk"] == 1


def test_what_was_refused_is_served_once_others_have_mended_their_config(
    node: RunningNode, theirs: ForeignNginx, port: int, two: Upstream
) -> None:
    theirs.write(include(node.folder), http="no_such_directive on;")
    node.write(text(theirs.conf, port, two.address))
    until(lambda: "no_such_directive" in events(node), "the refusal of what the watch found")
    assert get(port)[1] == b"one"
    theirs.write(include(node.folder))
    until(lambda: get(port)[1] == b"two", "the change, without a request for it")
    until(lambda: last_applied(node) == about(node)["nginx"]["running"], "the end of its apply")
    until(lambda: about(node)["drift"] == "in sync", "a look at what was applied")


def test_a_first_config_is_served_once_the_nginx_of_others_runs(
    folder: Path, binary: Path, port: int, one: Upstream
) -> None:
    theirs = ForeignNginx(folder, binary, include=include(folder).replace(".conf;", ".con[f];"))
    with RunningNode(folder, text(theirs.conf, port, one.address)) as node:
        until(lambda: '"config.' in events(node) or "nginx" in events(node), "the first try")
        until(lambda: node.admin_status("/ready") == 503, "unreadiness, said by a node that stays")
        with theirs:
            node.until_ready()
            assert get(port) == (200, b"one")


@pytest.mark.parametrize("pattern", [True, False])
def test_a_first_release_that_is_refused_once_it_serves_is_let_go(
    folder: Path, binary: Path, port: int, one: Upstream, pattern: bool
) -> None:
    """An include without a pattern lets nginx load nothing else: it keeps what it has."""
    probe = f'probes = [{{ address = "127.0.0.1:{port}", host = "x.example", status = 418 }}]'
    line = include(folder).replace(".conf;", ".con[f];") if pattern else include(folder)
    with ForeignNginx(folder, binary) as theirs:
        theirs.write(line)
        with RunningNode(folder, text(theirs.conf, port, one.address, more=probe)) as node:
            until(lambda: "refused at verify" in events(node), "the refusal")
            is_kept = "goes on serving generation 1" in events(node)
            assert is_kept is not pattern
            assert ("NO RELEASE IS PROVEN TO SERVE" in events(node)) is is_kept
            assert get(theirs.port, host="theirs.example") == (200, b"theirs")


def test_an_edit_of_a_release_is_reported_and_left_alone(node: RunningNode) -> None:
    found = node.state / "nginx/current/http.conf"
    found.chmod(0o640)
    found.write_text(found.read_text() + "# by hand\n")
    until(lambda: "http.conf edited" in str(about(node)["drift"]), "the drift")
    assert "# by hand" in found.read_text()


def test_an_edit_of_a_release_is_healed_where_that_is_asked_for(
    folder: Path, theirs: ForeignNginx, port: int, one: Upstream
) -> None:
    heal = 'drift = { policy = "heal", heal_after = "100ms" }'
    before = theirs.conf.read_text()
    with RunningNode(folder, text(theirs.conf, port, one.address, more=heal)) as node:
        node.until_ready()
        found = node.state / "nginx/current/http.conf"
        found.chmod(0o640)
        found.write_text(found.read_text() + "# by hand\n")
        until(lambda: "# by hand" not in found.read_text(), "the heal")
        until(lambda: about(node)["drift"] == "in sync", "what is wanted")
    assert theirs.conf.read_text() == before


def test_a_line_that_is_gone_is_told_and_the_next_apply_refused(
    node: RunningNode, theirs: ForeignNginx, port: int, two: Upstream
) -> None:
    theirs.write("")
    theirs.reload()
    until(lambda: "it does not include headgate" in str(about(node)["nginx"]["warning"]), "it")
    node.write(text(theirs.conf, port, two.address))
    refused = node.command("reload")
    assert refused.returncode == 78
    assert f"add `{include(node.folder)}`" in refused.stderr


def test_a_restart_by_others_is_told_and_boot_safety_is_known_by_the_guard(
    node: RunningNode, theirs: ForeignNginx, port: int
) -> None:
    assert about(node)["nginx"]["boot_safe"] is False
    theirs.stop()
    until(lambda: node.admin_status("/ready") == 503, "unreadiness")
    assert guard(node.state / "nginx").is_safe
    theirs.start()
    until(lambda: node.metric("headgate_nginx_foreign_restarts_total") == 1, "the count")
    until(lambda: "nginx was restarted by others" in events(node), "the event")
    assert get(port) == (200, b"one")
    until(lambda: about(node)["nginx"]["boot_safe"] is True, "boot safety")
    until_metric(node, "headgate_nginx_starts_total", 0)


def test_draining_the_node_leaves_nginx_serving(
    node: RunningNode, theirs: ForeignNginx, port: int
) -> None:
    master = theirs.master
    assert node.command("drain").returncode == 0
    assert node.process.wait(DEADLINE_S) == 0
    os.kill(master, 0)
    assert get(port) == (200, b"one")
