"""`rate_limit` on a real node: bursts of rates that earn nothing while a test runs."""

import subprocess
from pathlib import Path

import pytest
from limited import ask, counted, statuses
from peers import peer
from running_node import RunningNode, Upstream, config
from waiting import DEADLINE_S, until

LIMITED = """
[middlewares.few.rate_limit]
rate = "1/d"
burst = {burst}
{keys}
"""
USED = 'upstream = "app"\nmiddlewares = ["few"]'
DAY_S = 86_400


def text(port: int, upstream: Upstream, keys: str = "", burst: int = 5, extra: str = "") -> str:
    """A config whose one route is limited."""
    plain = config(port, upstream.address, extra=extra).replace('upstream = "app"', USED)
    return plain + LIMITED.format(keys=keys, burst=burst)


def test_a_burst_passes_and_the_rest_learns_when_to_come_again(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, text(port, one)).until_ready() as node:
        assert statuses(port, 8) == {200: 5, 429: 3}
        refused = ask(port)
        assert DAY_S - 600 < int(refused.headers["retry-after"]) <= DAY_S
        assert refused.headers["ratelimit-policy"] == f'"few";q=5;w={5 * DAY_S}'
        assert refused.headers["ratelimit"].startswith('"few";r=0;t=')
        assert "http_request_denied" in refused.headers["proxy-status"]
        until(lambda: counted(node, "rate_limit", "limited") == 4, "the metrics count refusals")
        until(lambda: counted(node, "rate_limit", "allowed") == 5, "the metrics count what passed")


def test_answers_within_the_limit_say_what_is_left(folder: Path, port: int, one: Upstream) -> None:
    with RunningNode(folder, text(port, one, "announce = true", burst=2)).until_ready():
        for left in (1, 0):
            answer = ask(port)
            assert answer.status == 200
            assert answer.headers["ratelimit-policy"] == f'"few";q=2;w={2 * DAY_S}'
            name, remaining, more_in = answer.headers["ratelimit"].split(";")
            assert (name, remaining) == ('"few"', f"r={left}")
            assert DAY_S - 600 < int(more_in.removeprefix("t=")) <= DAY_S
        refused = ask(port)
        assert refused.status == 429
        assert refused.headers["ratelimit"].startswith('"few";r=0;t=')
    with RunningNode(folder, text(port, one)).until_ready():
        assert "ratelimit" not in ask(port).headers


def test_a_reload_keeps_the_counts_and_another_rate_begins_anew(
    folder: Path, port: int, one: Upstream
) -> None:
    before = text(port, one)
    with RunningNode(folder, before).until_ready() as node:
        assert statuses(port, 6) == {200: 5, 429: 1}
        node.write(before + '[routes.other]\nhosts = ["b.example"]\nrespond = { status = 200 }\n')
        done = node.command("reload")
        assert done.returncode == 0, done.stdout + done.stderr
        assert statuses(port, 2) == {429: 2}
        node.write(text(port, one, burst=7))
        node.command("reload")
        assert statuses(port, 3) == {200: 2, 429: 1}
        node.write(before.replace('"1/d"', '"2/d"'))
        node.command("reload")
        assert statuses(port, 6) == {200: 5, 429: 1}


def test_two_workers_share_one_count(folder: Path, port: int, one: Upstream) -> None:
    limited = text(port, one, burst=20, extra="workers = 2\n")
    with RunningNode(folder, limited).until_ready():
        # Each connection may be another worker's.
        assert statuses(port, 60) == {200: 20, 429: 40}


def test_each_key_has_a_burst_of_its_own(folder: Path, port: int, one: Upstream) -> None:
    keys = 'key = ["header:x-api-key", "path:1"]'
    with RunningNode(folder, text(port, one, keys, burst=2)).until_ready():
        for headers in ({"x-api-key": "a"}, {"x-api-key": "b"}, {}):
            for path in ("/v1/x", "/v2/x"):
                assert statuses(port, 3, path, **headers) == {200: 2, 429: 1}
        assert statuses(port, 1, "/v1/y", **{"x-api-key": "a"}) == {429: 1}


def test_a_dry_run_counts_and_refuses_nothing(folder: Path, port: int, one: Upstream) -> None:
    with RunningNode(folder, text(port, one, "dry_run = true")).until_ready() as node:
        assert statuses(port, 8) == {200: 8}
        until(
            lambda: counted(node, "rate_limit", "dry_run") == 3,
            "the metrics count what would be refused",
        )


@pytest.mark.parametrize("version", ["--h1", "--no-tls-proto=h2c"])
def test_requests_of_one_connection_count_each(
    folder: Path, port: int, one: Upstream, version: str
) -> None:
    h2load = peer("h2load")
    limited = text(port, one).replace("[listeners.web]\n", "[listeners.web]\nh2c = true\n")
    with RunningNode(folder, limited).until_ready():
        done = subprocess.run(
            [h2load, version, "-n", "8", "-c", "1", f"http://127.0.0.1:{port}/"],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert "status codes: 5 2xx, 0 3xx, 3 4xx, 0 5xx" in done.stdout
