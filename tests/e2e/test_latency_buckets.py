"""`node.latency_buckets`, on both engines: a reload changes the buckets and loses no request."""

import re
from pathlib import Path

import pytest
from peers import peer
from running_node import RunningNode, Upstream, config, get
from waiting import until

REQUESTS = 3


def buckets(node: RunningNode) -> dict[str, int]:
    """The cumulative counts of requests by their bound."""
    page = node.admin("GET", "/metrics")[1].decode()
    line = r'^http_request_duration_seconds_bucket\{le="([^"]+)"\} (\d+)$'
    return {bound: int(count) for bound, count in re.findall(line, page, re.M)}


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_reload_changes_the_buckets_and_keeps_what_was_counted(
    folder: Path, port: int, one: Upstream, engine: str
) -> None:
    if engine == "nginx":
        peer("nginx")

    def written(listed: str) -> str:
        return config(port, one.address, extra=f"latency_buckets = {listed}\n")

    def counted(bound: str, count: int) -> None:
        until(lambda: buckets(node).get(bound) == count, f"{count} requests within {bound} s")

    with RunningNode(folder, written('["4.1s", "1m"]'), "--engine", engine).until_ready() as node:
        for _ in range(REQUESTS):
            assert get(port) == (200, b"one")
        counted("60.0", REQUESTS)
        assert list(buckets(node)) == ["4.1", "60.0", "+Inf"]
        node.write(written('["1m", "10m"]'))
        assert node.command("reload").returncode == 0
        counted("600.0", REQUESTS)
        assert buckets(node) == {"60.0": REQUESTS, "600.0": REQUESTS, "+Inf": REQUESTS}
        assert get(port) == (200, b"one")
        counted("60.0", REQUESTS + 1)
