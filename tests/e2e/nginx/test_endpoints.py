"""Endpoints that change without a reload, on a node with the real nginx and its Lua balancer."""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lua_nginx import answer_all, takes_lua
from peers import peer
from running_node import Load, RunningNode, Upstream, config, get
from tls_authority import Authority
from told import answering, until_metrics_say
from waiting import DEADLINE_S, until

from headgate.engines.nginx.endpoints import socket as table_socket
from headgate.engines.nginx.endpoints.socket import NotPushedError

LUA = 'engine = "nginx"\nnginx = { endpoints = "lua" }\nworkers = 2\n'
DEAD = '"127.0.0.1:1"'
UPDATES = 'headgate_nginx_endpoint_updates_total{result="applied"}'


@pytest.fixture
def three() -> Iterator[Upstream]:
    upstream = Upstream("three")
    yield upstream
    upstream.close()


def text(port: int, *endpoints: str, more: str = "") -> str:
    """A config with these endpoints, each as TOML."""
    return config(port, "X", extra=LUA).replace('["X"]', f"[{', '.join(endpoints)}]") + more


def at(upstream: Upstream, weight: int = 1, backup: str = "false") -> str:
    return f'{{ address = "{upstream.address}", weight = {weight}, backup = {backup} }}'


@pytest.fixture
def node(folder: Path, port: int, one: Upstream, probed: None) -> Iterator[RunningNode]:
    takes_lua()
    with RunningNode(folder, text(port, at(one))) as running:
        yield running.until_ready()


def about(node: RunningNode) -> dict[str, Any]:
    return node.engine()


def master(node: RunningNode) -> int:
    return int((node.state / "nginx/run/nginx.pid").read_text())


def workers(node: RunningNode) -> list[str]:
    pid = master(node)
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def change(node: RunningNode, new: str) -> None:
    node.write(new)
    done = node.command("reload")
    assert done.returncode == 0, done.stdout + done.stderr


def answers(port: int, count: int) -> Counter[bytes]:
    return Counter(get(port)[1] for _ in range(count))


def status_socket(node: RunningNode) -> str:
    return str(node.state / "nginx/run/status.sock")


def crash(node: RunningNode) -> None:
    """Kills all of nginx, and waits until the node has started it again."""
    pid = master(node)
    for process in (pid, *map(int, workers(node))):
        with contextlib.suppress(ProcessLookupError):  # the node has dismissed it already
            os.kill(process, signal.SIGKILL)
    until(lambda: about(node)["pid"] not in (None, pid), "another master")


def test_endpoints_change_under_load_without_a_reload(
    node: RunningNode, port: int, one: Upstream, two: Upstream
) -> None:
    before = workers(node), (node.state / "nginx/current").readlink()
    with Load(port) as load:
        for endpoints in ([at(one), at(two)], [at(two)], [at(one)], [at(two)]):
            change(node, text(port, *endpoints))
        until(lambda: set(load.answers[-20:]) == {b"two"}, "the last change")
    assert load.failures == []
    assert (workers(node), (node.state / "nginx/current").readlink()) == before
    until(lambda: about(node)["drift"] == "in sync", "the first look")
    nginx = answering(node)["nginx"]
    assert (nginx["running"], nginx["endpoint_updates"]) == (1, 4)
    assert nginx["endpoint_error"] == ""
    until_metrics_say(node, f"{UPDATES} 4")


def test_weights_and_backups_are_respected(
    node: RunningNode, port: int, one: Upstream, two: Upstream, three: Upstream
) -> None:
    change(node, text(port, at(one, 3), at(two, 1), at(three, 9, "true")))
    found = answers(port, 80)
    assert found[b"three"] == 0
    assert abs(found[b"one"] - 60) <= 4  # each of two workers has its own turn
    change(node, text(port, DEAD, at(three, 9, "true")))
    assert set(answers(port, 8)) == {b"three"}


def test_a_dead_endpoint_costs_no_request(node: RunningNode, port: int, two: Upstream) -> None:
    change(node, text(port, DEAD, at(two)))
    assert answers(port, 20) == {b"two": 20}


def test_without_endpoints_requests_get_503_with_the_reason(
    node: RunningNode, port: int, one: Upstream
) -> None:
    change(node, text(port, at(one, 0)))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    connection.request("GET", "/", headers={"host": "a.example"})
    answer = connection.getresponse()
    assert answer.status == 503
    assert "destination_unavailable" in (answer.getheader("proxy-status") or "")
    assert b"no endpoint can be used now" in answer.read()
    connection.close()
    change(node, text(port, at(one)))
    assert get(port) == (200, b"one")
    assert answering(node)["nginx"]["running"] == 1


def test_a_reload_and_a_crash_begin_with_the_newest_endpoints(
    node: RunningNode, port: int, two: Upstream
) -> None:
    change(node, text(port, at(two)))
    old = workers(node)
    conf = node.state / "nginx/current"
    words = [str(peer("nginx")), "-c", f"{conf}/nginx.conf", "-p", f"{conf}/", "-s", "reload"]
    subprocess.run(words, check=True, capture_output=True)
    until(lambda: not set(workers(node)) & set(old), "new workers")
    assert answers(port, 10) == {b"two": 10}
    for is_lost in (False, True):
        if is_lost:
            (node.state / "nginx/endpoints").unlink()
        crash(node)
        assert answers(port, 10) == {b"two": 10}


def test_going_back_to_a_release_finds_its_upstreams(
    node: RunningNode, port: int, one: Upstream, two: Upstream
) -> None:
    other = text(port, at(two)).replace('"app"', '"other"').replace("s.app]", "s.other]")
    change(node, other)
    assert get(port) == (200, b"two")
    change(node, other.replace(at(two), at(one)))
    assert (get(port), answering(node)["nginx"]["running"]) == ((200, b"one"), 2)
    back = node.command("nginx", "rollback")
    assert back.returncode == 0, back.stdout + back.stderr
    assert (get(port), answering(node)["nginx"]["running"]) == ((200, b"one"), 1)


def test_other_changes_with_new_endpoints_are_one_reload(
    node: RunningNode, port: int, two: Upstream
) -> None:
    more = '\n[routes.more]\nhosts = ["b.example"]\nupstream = "app"\n'
    change(node, text(port, at(two), more=more))
    assert get(port, host="b.example") == (200, b"two")
    found = answering(node)
    assert (found["nginx"]["running"], found["nginx"]["endpoint_updates"]) == (2, 0)


def test_a_config_that_is_refused_leaves_the_endpoints(
    node: RunningNode, port: int, two: Upstream
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        more = f'\n[listeners.held]\naddress = "127.0.0.1:{other.getsockname()[1]}"\n'
        node.write(text(port, at(two), more=more))
        assert node.command("reload").returncode != 0
        assert get(port) == (200, b"one")
        old = workers(node)
        os.kill(master(node), signal.SIGHUP)
        until(lambda: not set(workers(node)) & set(old), "new workers")
        assert get(port) == (200, b"one")


def test_a_hold_stops_endpoints_too(node: RunningNode, port: int, two: Upstream) -> None:
    assert node.command("hold", "30m", "--reason", "night fix").returncode == 0
    node.write(text(port, at(two)))
    refused = node.command("reload")
    assert refused.returncode != 0
    assert "night fix" in refused.stdout + refused.stderr
    assert get(port) == (200, b"one")


def test_a_lost_file_is_made_up_for_by_a_reload(
    node: RunningNode, port: int, two: Upstream
) -> None:
    """nginx wants a key that only the file has."""
    (node.state / "nginx/endpoints").unlink()
    change(node, text(port, at(two)))
    assert get(port) == (200, b"two")
    found = answering(node)
    assert found["nginx"]["running"] == 2
    assert "403" in str(found["nginx"]["endpoint_error"])


def test_who_has_not_the_key_sets_nothing(node: RunningNode, port: int, two: Upstream) -> None:
    where = status_socket(node)
    table = {"app": (f"1 0 {two.address}",)}
    with pytest.raises(NotPushedError, match="403"):
        table_socket.write(where, table, "0" * 32)
    assert get(port, "/endpoints") == (200, b"one")
    assert get(port) == (200, b"one")


def test_the_table_is_begun_and_given_up_with_a_reload(
    node: RunningNode, port: int, one: Upstream, two: Upstream
) -> None:
    change(node, text(port, at(two)))
    pid = master(node)
    with Load(port) as load:
        for how in ("reload", "lua"):
            change(node, text(port, at(two)).replace('"lua"', f'"{how}"'))
            until(lambda: about(node)["drift"] == "in sync", "a look at what was applied")
    assert set(load.answers[-20:]) == {b"two"}
    assert load.lost == []  # nginx closes idle connections of old workers
    assert (master(node), answering(node)["nginx"]["running"]) == (pid, 3)
    change(node, text(port, at(one)))
    assert (get(port), answering(node)["nginx"]["running"]) == ((200, b"one"), 3)


def test_endpoints_over_tls_are_verified_as_before(node: RunningNode, port: int) -> None:
    authority = Authority(node.folder)
    found = {}
    for name in ("up.example", "new.up.example", "other.example"):
        names = ("up.example",) if name != "other.example" else (name,)
        pair = authority.issue(name, *names)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pair.cert_file, pair.key_file)
        server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=answer_all, args=(server, name.encode(), tls), daemon=True).start()
        found[name] = server
    about_tls = f'tls = {{ verify_name = "up.example", ca_file = "{authority.ca_file}" }}\n'
    for name, status in (("up.example", 200), ("new.up.example", 200), ("other.example", 502)):
        address = f'"127.0.0.1:{found[name].getsockname()[1]}"'
        change(node, text(port, address, more=about_tls))
        answer = get(port)
        assert answer[0] == status
        assert status != 200 or answer[1] == name.encode()
    assert answering(node)["nginx"]["running"] == 2
    for server in found.values():
        server.close()
