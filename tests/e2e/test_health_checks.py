"""Health checks with real processes: an endpoint that is killed, hangs or fails, and comes back."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_node import RunningNode, Upstream, config, get
from told import until_metric, until_metric_at_least, until_metrics_say, until_status_says
from waiting import until

CHECK = (
    'health_check = { path = "/slow", interval = "2s", timeout = "2s", '
    'fast_interval = "100ms", max_interval = "2s" }\n'
)
"""`/slow` is answered at once as long as the upstream is released."""


@pytest.fixture
def released(one: Upstream, two: Upstream) -> Iterator[tuple[Upstream, Upstream]]:
    one.release.set()
    two.release.set()
    yield one, two
    one.release.set()
    two.release.set()


def _config(port: int, upstreams: tuple[Upstream, ...], rest: str) -> str:
    listed = '", "'.join(one.address for one in upstreams)
    return config(port, listed) + rest


def _states(node: RunningNode) -> list[tuple[str, bool]]:
    health = json.loads(node.admin("GET", "/health")[1])
    upstreams = health["upstreams"]  # none while the data plane is being replaced
    return [(one["state"], one["takes"]) for up in upstreams for one in up["endpoints"]]


def _served(port: int, requests: int = 8) -> set[bytes]:
    return {get(port)[1] for _ in range(requests)}


def test_an_endpoint_that_hangs_or_dies_gets_no_requests_until_it_is_back(
    folder: Path, port: int, released: tuple[Upstream, Upstream]
) -> None:
    one, two = released
    with RunningNode(folder, _config(port, released, CHECK)).until_ready() as node:
        until(lambda: _states(node) == [("up", True), ("up", True)], "the states")
        assert _served(port) == {b"one", b"two"}
        assert json.loads(node.admin("GET", "/health")[1])["status"] == "ok"

        two.release.clear()
        until(lambda: _states(node) == [("up", True), ("down", False)], "the states")
        assert _served(port) == {b"one"}
        health = json.loads(node.admin("GET", "/health")[1])
        told = health["upstreams"][0]["endpoints"][1]
        assert health["status"] == "degraded"
        assert told["reason"] == "check-timeout"
        assert told["why"].startswith("takes no traffic: its checks fail")
        assert told["changed_at"] > 1.7e9
        until_metric(node, f'headgate_backend_takes_traffic{{backend="app/{two.address}"}}', 0)
        until_metric(node, f'headgate_backend_up{{backend="app/{one.address}"}}', 1)

        two.release.set()
        until(lambda: _states(node) == [("up", True), ("up", True)], "the states")
        assert _served(port) == {b"one", b"two"}

        two.close()
        until(lambda: _states(node) == [("up", True), ("down", False)], "the states")
        assert {get(port)[0] for _ in range(8)} == {200}
        again = Upstream("two", two.port)
        again.release.set()
        until(lambda: _states(node) == [("up", True), ("up", True)], "the states")
        assert _served(port) == {b"one", b"two"}
        again.close()
        about = f"endpoint {two.address} of upstream app is "
        node.until_logged(f"{about}down: ", f"{about}up: its checks passed")


def test_the_last_endpoint_is_used_though_it_looks_bad_and_everything_says_why(
    folder: Path, port: int, released: tuple[Upstream, Upstream]
) -> None:
    one, _ = released
    fails = CHECK.replace('"/slow"', '"/"').replace("interval", "statuses = [204], interval", 1)
    with RunningNode(folder, _config(port, (one,), fails)).until_ready() as node:
        until(lambda: _states(node) == [("down", True)], "the states")
        assert get(port) == (200, b"one")
        why = "takes traffic although its checks fail: panic, 0 of 1 endpoints are usable"
        until_status_says(node, why)

        def explains() -> bool:
            asked = node.command("explain", "GET", "http://a.example/").stdout
            assert why in asked
            return "the status is 200" in asked

        # A check that was held up has found that no answer came in time.
        until(explains, "what the last check found")
        node.write(_config(port, (one,), fails + 'panic_threshold = "off"\n'))
        assert node.admin("POST", "/reload")[0] == 200
        until(lambda: _states(node) == [("down", False)], "the states")
        assert get(port)[0] == 503


def test_an_order_of_an_operator_holds_until_it_is_ended(
    folder: Path, port: int, released: tuple[Upstream, Upstream]
) -> None:
    _, two = released
    text = _config(port, released, "")
    with RunningNode(folder, text).until_ready() as node:
        assert _served(port) == {b"one", b"two"}
        done = node.command("endpoint", "app", two.address, "maintenance")
        assert (done.returncode, done.stdout) == (0, f"app {two.address}: maintenance\n")
        assert _states(node) == [("up", True), ("maintenance", False)]
        assert _served(port) == {b"one"}
        until_status_says(node, "takes no traffic: the operator set maintenance")

        _, pid = node.data_plane()
        os.kill(pid, signal.SIGKILL)
        until(lambda: node.data_plane()[1] not in (0, pid), "the next data plane")
        until(lambda: _states(node) == [("up", True), ("maintenance", False)], "the states")
        assert _served(port) == {b"one"}
        assert node.command("upgrade").returncode == 0
        assert _served(port) == {b"one"}

        wrong = node.command("endpoint", "app", "127.0.0.1:1", "drain")
        assert wrong.returncode != 0
        assert "the upstream `app` has no endpoint `127.0.0.1:1`" in wrong.stderr
        body = json.dumps({"upstream": "nope", "endpoint": "a:1", "state": "drain"}).encode()
        assert node.admin("POST", "/endpoint", body)[0] == 422
        assert node.admin("POST", "/endpoint", b'{"state": "off"}')[0] == 400

    with RunningNode(folder, text).until_ready() as node:
        assert _states(node) == [("up", True), ("maintenance", False)]
        assert _served(port) == {b"one"}
        assert node.command("endpoint", "app", two.address, "ready").returncode == 0
        assert _served(port) == {b"one", b"two"}


def test_an_endpoint_that_fails_its_requests_is_ejected_and_comes_back(
    folder: Path, port: int, released: tuple[Upstream, Upstream]
) -> None:
    _, two = released
    rest = (
        'outlier_detection = { consecutive_local = 3, ejection = "1s" }\npool = { max_idle = 0 }\n'
    )
    with RunningNode(folder, _config(port, released, rest)).until_ready() as node:
        assert _served(port) == {b"one", b"two"}
        two.close()

        def is_ejected() -> bool:
            assert get(port) == (200, b"one")
            told = json.loads(node.admin("GET", "/health")[1])["upstreams"][0]["endpoints"][1]
            why = str(told["why"])
            return (
                (told["state"], told["takes"]) == ("ejected", False)
                and why.startswith("takes no traffic: it is ejected; ")
                and why.endswith("too many requests in a row got no answer from it")
            )

        until(is_ejected, "the ejection")
        again = Upstream("two", two.port)
        until(lambda: get(port) == (200, b"two"), "the probe")
        until(lambda: _states(node) == [("up", True), ("up", True)], "the return")
        again.close()
        node.until_logged(f"endpoint {two.address} of upstream app is back: ")


def test_an_endpoint_that_fails_too_much_is_ejected_without_a_row(
    folder: Path, port: int, released: tuple[Upstream, Upstream]
) -> None:
    _, two = released
    off = ", ".join(f'consecutive_{one} = "off"' for one in ("5xx", "gateway", "local"))
    rest = (
        f'outlier_detection = {{ {off}, failure_requests = 10, ejection = "10m", '
        'max_ejection = "10m" }\npool = { max_idle = 0 }\n'
    )
    with RunningNode(folder, _config(port, released, rest)).until_ready() as node:
        two.close()

        def is_ejected() -> bool:
            assert get(port) == (200, b"one")
            return _states(node) == [("up", True), ("ejected", False)]

        until(is_ejected, "the ejection")
        told = json.loads(node.admin("GET", "/health")[1])["upstreams"][0]["endpoints"][1]
        assert told["why"].endswith("too large a part of its answers failed")


def test_verdicts_that_are_not_enforced_are_told_and_counted(
    folder: Path, port: int, released: tuple[Upstream, Upstream]
) -> None:
    _, two = released
    rest = (
        'outlier_detection = {{ consecutive_local = 3, enforce = {}, ejection = "10m", '
        'max_ejection = "10m" }}\npool = {{ max_idle = 0 }}\n'
    )

    def counted(outcome: str) -> float:
        labels = f'upstream="app",outcome="{outcome}"'
        return node.metric(f"headgate_upstream_outliers_total{{{labels}}}")

    def is_spared() -> bool:
        assert get(port) == (200, b"one")
        return counted("dry_run") > 1

    def is_ejected() -> bool:
        assert get(port) == (200, b"one")
        return _states(node)[1] == ("ejected", False)

    with RunningNode(folder, _config(port, released, rest.format(0))).until_ready() as node:
        two.close()
        until(is_spared, "two verdicts")
        told = json.loads(node.admin("GET", "/health")[1])["upstreams"][0]["endpoints"][1]
        assert (told["state"], told["takes"]) == ("up", True)
        assert str(told["why"]).startswith("takes traffic although it looked bad")
        spared = f"endpoint {two.address} of upstream app is not ejected: "
        assert node.until_told(spared).count(spared) == 1
        node.write(_config(port, released, rest.format(50)))
        until(is_ejected, "a verdict that counts")
        until(lambda: counted("ejected") == 1, "the verdict is counted")


def test_a_node_without_memory_left_answers_new_requests_with_503(
    folder: Path, port: int, one: Upstream
) -> None:
    text = config(port, one.address, extra='shedding = { memory = "1 MiB", critical = "off" }\n')
    text += "adaptive_concurrency = { initial = 7 }\n"
    with RunningNode(folder, text).until_ready() as node:
        until(lambda: get(port)[0] == 503, "the overload")
        until_metric_at_least(node, 'headgate_rejects_total{reason="overload-memory"}', 1)
        node.until_told("node.overload: overloaded: the node has too little memory")
        until_metric_at_least(node, 'headgate_upstream_concurrency_limit{upstream="app"}', 1)
        node.write(text.replace("1 MiB", "100 GiB"))
        until(lambda: get(port) == (200, b"one"), "the end of the overload")


def test_a_breaker_answers_at_once_for_an_upstream_that_is_gone_and_closes_when_it_is_back(
    folder: Path, port: int, released: tuple[Upstream, Upstream]
) -> None:
    one, _ = released
    rest = 'circuit_breaker = { failures = 3, open_for = "2s" }\npool = { max_idle = 0 }\n'
    with RunningNode(folder, _config(port, (one,), rest)).until_ready() as node:
        assert _served(port) == {b"one"}
        one.close()
        assert [get(port)[0] for _ in range(3)] == [502, 502, 502]
        # A trial that fails opens the breaker again.
        why = "takes no traffic: its breaker is open; it is tried again in "
        until(lambda: get(port)[0] == 503 and why in node.admin("GET", "/health")[1].decode(), why)
        again = Upstream("one", one.port)
        until(lambda: get(port) == (200, b"one"), "the trial")
        until(lambda: get(port) == (200, b"one") and _states(node) == [("up", True)], "the close")
        opened = 'headgate_upstream_breaker_opened_total{upstream="app"} '
        until_metrics_say(node, opened, 'reason="breaker-open"')
        again.close()
        node.until_logged(f"endpoint {one.address} of upstream app gets requests again: ")
