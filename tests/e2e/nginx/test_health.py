"""Health checks and orders on the nginx engine: the node checks, and nginx leaves out who fails."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from lua_nginx import takes_lua
from peers import peer
from ports import free_port
from running_node import RunningNode, Upstream, config, get
from told import answering, until_metric, until_status_says
from waiting import until

CHECK = (
    'health_check = { path = "/slow", interval = "2s", timeout = "2s", '
    'fast_interval = "100ms", max_interval = "2s" }\n'
)
"""`/slow` is answered at once as long as the upstream is released."""

NAMED = CHECK.replace('path = "/slow"', 'body = "o", unhealthy = 10')
"""Fails at once where the name has no `o`, and by timeouts not before 20 s."""

LUA = 'engine = "nginx"\nnginx = { endpoints = "lua" }\n'
pytestmark = pytest.mark.usefixtures("probed")


@pytest.fixture
def released(one: Upstream, two: Upstream) -> Iterator[tuple[Upstream, Upstream]]:
    """Two upstreams that answer."""
    one.release.set()
    two.release.set()
    yield one, two
    one.release.set()
    two.release.set()


@pytest.fixture(params=["reload", "lua"])
def settings(request: pytest.FixtureRequest) -> str:
    """How endpoints change, as lines of `[node]`."""
    peer("nginx")
    if request.param == "reload":
        return 'engine = "nginx"\nnginx = { reloads_per_minute = 600 }\n'
    takes_lua()
    return LUA


def _config(port: int, upstreams: tuple[Upstream, ...], rest: str, settings: str) -> str:
    listed = '", "'.join(one.address for one in upstreams)
    return config(port, listed, extra=settings) + rest


def _states(node: RunningNode) -> list[tuple[str, bool]]:
    health = json.loads(node.admin("GET", "/health")[1])
    return [(one["state"], one["takes"]) for up in health["upstreams"] for one in up["endpoints"]]


def _release(node: RunningNode) -> int:
    return int(answering(node)["nginx"]["running"])


def _is_out_by_its_checks(node: RunningNode) -> bool:
    """Whether the second endpoint alone takes nothing; both time out while this process stands."""
    health = json.loads(node.admin("GET", "/health")[1])
    told = health["upstreams"][0]["endpoints"][1]
    assert told["changed_at"] > 1.7e9
    reasons = (health["status"], told["reason"])
    why = "takes no traffic: its checks fail"
    return reasons == ("degraded", "check-timeout") and told["why"].startswith(why)


def _served(port: int, requests: int = 8) -> set[bytes]:
    return {get(port)[1] for _ in range(requests)}


def _until_served(port: int, wanted: set[bytes]) -> None:
    until(lambda: _served(port) == wanted, f"answers of {wanted}")


def test_an_endpoint_that_hangs_or_dies_gets_no_requests_until_it_is_back(
    folder: Path, port: int, released: tuple[Upstream, Upstream], settings: str
) -> None:
    one, two = released
    with RunningNode(folder, _config(port, released, CHECK, settings)).until_ready() as node:
        until(lambda: _states(node) == [("up", True), ("up", True)], "the states")
        _until_served(port, {b"one", b"two"})
        before = _release(node)
        two.release.clear()
        until(lambda: _states(node) == [("up", True), ("down", False)], "the states")
        _until_served(port, {b"one"})
        is_old = settings == LUA
        until(lambda: (_release(node) == before) == is_old, "the release")
        until(lambda: _is_out_by_its_checks(node), "the reason")
        until_metric(node, f'headgate_backend_takes_traffic{{backend="app/{two.address}"}}', 0)
        until_metric(node, f'headgate_backend_up{{backend="app/{one.address}"}}', 1)

        two.release.set()
        _until_served(port, {b"one", b"two"})
        two.close()
        _until_served(port, {b"one"})
        assert {get(port)[0] for _ in range(8)} == {200}
        again = Upstream("two", two.port)
        again.release.set()
        _until_served(port, {b"one", b"two"})
        again.close()
        about = f"endpoint {two.address} of upstream app is "
        node.until_logged(f"{about}down: ", f"{about}up: its checks passed")


def test_the_last_endpoint_is_used_though_it_looks_bad_and_everything_says_why(
    folder: Path, port: int, released: tuple[Upstream, Upstream], settings: str
) -> None:
    one, _ = released
    fails = CHECK.replace('"/slow"', '"/"').replace("interval", "statuses = [204], interval", 1)
    text = _config(port, (one,), fails, settings)
    with RunningNode(folder, text).until_ready() as node:
        until(lambda: _states(node) == [("down", True)], "the states")
        assert get(port) == (200, b"one")
        why = "takes traffic although its checks fail: panic, 0 of 1 endpoints are usable"
        until_status_says(node, why)

        def is_explained() -> bool:
            asked = node.command("explain", "GET", "http://a.example/").stdout
            return why in asked and "the status is 200" in asked

        until(is_explained, "what the last check found")
        node.write(text + 'panic_threshold = "off"\n')
        assert node.admin("POST", "/reload")[0] == 200
        until(lambda: _states(node) == [("down", False)], "the states")
        until(lambda: get(port)[0] in (502, 503), "the refusal")


def test_an_order_of_an_operator_holds_until_it_is_ended(
    folder: Path, port: int, released: tuple[Upstream, Upstream], settings: str
) -> None:
    _, two = released
    text = _config(port, released, "", settings)
    with RunningNode(folder, text).until_ready() as node:
        assert _served(port) == {b"one", b"two"}
        done = node.command("endpoint", "app", two.address, "maintenance")
        assert (done.returncode, done.stdout) == (0, f"app {two.address}: maintenance\n")
        assert _states(node) == [("up", True), ("maintenance", False)]
        assert _served(port) == {b"one"}
        until_status_says(node, "takes no traffic: the operator set maintenance")

        wrong = node.command("endpoint", "app", "127.0.0.1:1", "drain")
        assert wrong.returncode != 0
        assert "the upstream `app` has no endpoint `127.0.0.1:1`" in wrong.stderr
        body = json.dumps({"upstream": "nope", "endpoint": "a:1", "state": "drain"}).encode()
        assert node.admin("POST", "/endpoint", body)[0] == 422
        node.write(text.replace("default = true", "default = true\nbacklog = 100"))
        assert node.admin("POST", "/reload")[0] == 200
        assert _served(port) == {b"one"}, "a reload keeps it"

    with RunningNode(folder, text).until_ready() as node:
        assert _states(node) == [("up", True), ("maintenance", False)]
        assert _served(port) == {b"one"}
        assert node.command("endpoint", "app", two.address, "ready").returncode == 0
        assert _served(port) == {b"one", b"two"}


def test_a_broken_config_on_disk_does_not_keep_a_dead_endpoint_in(
    folder: Path, port: int, released: tuple[Upstream, Upstream], settings: str
) -> None:
    _, two = released
    with RunningNode(folder, _config(port, released, CHECK, settings)).until_ready() as node:
        _until_served(port, {b"one", b"two"})
        node.write("[broken")
        two.close()
        _until_served(port, {b"one"})


def test_without_a_route_to_it_an_endpoint_is_down_with_that_reason(
    folder: Path, port: int, released: tuple[Upstream, Upstream], settings: str
) -> None:
    one, _ = released
    text = _config(port, (one,), CHECK.replace('path = "/slow", ', 'protocol = "tcp", '), settings)
    text = text.replace(f'"{one.address}"', f'"{one.address}", "127.0.0.1:{free_port()}"')
    with RunningNode(folder, text).until_ready() as node:
        until(lambda: _states(node) == [("up", True), ("down", False)], "the states")
        health = json.loads(node.admin("GET", "/health")[1])
        assert health["upstreams"][0]["endpoints"][1]["reason"] == "check-connect"


def test_an_endpoint_that_fails_its_requests_is_ejected_and_comes_back(
    folder: Path, port: int, released: tuple[Upstream, Upstream], settings: str
) -> None:
    _, two = released
    rest = (
        'outlier_detection = { consecutive_local = 3, ejection = "1s" }\npool = { max_idle = 0 }\n'
    )
    with RunningNode(folder, _config(port, released, rest, settings)).until_ready() as node:
        assert _served(port) == {b"one", b"two"}
        two.close()

        def is_ejected() -> bool:
            assert get(port) == (200, b"one")
            return _states(node)[1] == ("ejected", False)

        until(is_ejected, "the ejection")
        again = Upstream("two", two.port)
        until(lambda: get(port) == (200, b"two"), "the probe")
        until(lambda: get(port)[0] == 200 and _states(node)[1] == ("up", True), "its return")
        again.close()
        about = f"endpoint {two.address} of upstream app is "
        said = "ejected: too many requests in a row got no answer from it"
        node.until_logged(about + said, f"{about}back: ")


def test_a_breaker_keeps_requests_from_an_endpoint_that_fails(
    folder: Path, port: int, released: tuple[Upstream, Upstream], settings: str
) -> None:
    _, two = released
    rest = (
        'circuit_breaker = { failures = 3, open_for = "2s", successes = 1 }\n'
        "pool = { max_idle = 0 }\n"
    )
    with RunningNode(folder, _config(port, released, rest, settings)).until_ready() as node:
        assert _served(port) == {b"one", b"two"}
        two.close()

        def is_open() -> bool:
            assert get(port) == (200, b"one")
            return _states(node)[1] == ("breaker-open", False)

        until(is_open, "the breaker")
        again = Upstream("two", two.port)
        until(lambda: get(port) == (200, b"two"), "the try")
        until(lambda: get(port)[0] == 200 and _states(node)[1] == ("up", True), "its return")
        again.close()
        said = f"endpoint {two.address} of upstream app gets no requests: "
        node.until_logged(said + "its breaker opened after too many failures in a row")


def test_a_control_process_that_starts_anew_keeps_out_who_failed(
    folder: Path, port: int, released: tuple[Upstream, Upstream], settings: str
) -> None:
    _, two = released
    with RunningNode(folder, _config(port, released, NAMED, settings)).until_ready() as node:
        until(lambda: _states(node) == [("up", True), ("up", True)], "the states")
        two.name = "2"
        _until_served(port, {b"one"})
        kept = node.state / "nginx/health.json"
        until(lambda: "check-body" in kept.read_text(), "the file")
        control = node.status()["control"]
        assert isinstance(control, dict)
        os.kill(control["pid"], signal.SIGKILL)
        seen: set[bytes] = set()

        def is_known_again() -> bool:
            seen.update(_served(port))
            return node.admin_status("/ready") == 200 and _states(node)[1:] == [("down", False)]

        until(is_known_again, "the next control process")
        assert seen == {b"one"}
        two.name = "two"
        _until_served(port, {b"one", b"two"})
