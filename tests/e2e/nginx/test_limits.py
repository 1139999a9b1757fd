"""Limits of a node that drives an nginx: `limit_req` and `limit_conn` as headgate means them."""

import threading
from pathlib import Path

import pytest
from limited import ask, statuses
from peers import peer
from running_node import RunningNode, Upstream, config, get
from waiting import DEADLINE_S, until

USED = 'upstream = "app"\nmiddlewares = ["few"]'


def text(port: int, upstream: Upstream, kind: str, keys: str, extra: str = "") -> str:
    """A config whose one route is limited."""
    plain = config(port, upstream.address, extra=extra).replace('upstream = "app"', USED)
    return f"{plain}\n[middlewares.few.{kind}]\n{keys}\n"


RATE = 'rate = { requests = 1, per = "1m" }\n'
"""Earns one request while a test runs, at most."""


@pytest.mark.usefixtures("probed")
def test_a_burst_passes_and_a_reload_keeps_the_counts(
    folder: Path, port: int, one: Upstream
) -> None:
    peer("nginx")
    before = text(port, one, "rate_limit", RATE + "burst = 5", "workers = 2\n")
    with RunningNode(folder, before, "--engine", "nginx").until_ready() as node:
        found = statuses(port, 12)
        assert found[200] in (5, 6)
        assert found[429] == 12 - found[200]
        refused = ask(port)
        assert (refused.status, refused.headers["retry-after"]) == (429, "60")
        assert "http_request_denied" in refused.headers["proxy-status"]
        node.write(before + '[routes.other]\nhosts = ["b.example"]\nrespond = { status = 200 }\n')
        done = node.command("reload")
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: get(port, host="b.example")[0] == 200, "the new route")
        assert statuses(port, 6)[429] >= 5


@pytest.mark.usefixtures("probed")
def test_a_rate_of_one_request_without_a_burst_is_one_at_a_time(
    folder: Path, port: int, one: Upstream
) -> None:
    peer("nginx")
    limited = text(port, one, "rate_limit", RATE)
    with RunningNode(folder, limited, "--engine", "nginx").until_ready():
        found = statuses(port, 6)
        assert found[200] in (1, 2)
        assert found[429] == 6 - found[200]


@pytest.mark.usefixtures("probed")
def test_requests_in_progress_are_counted_until_they_end(
    folder: Path, port: int, one: Upstream
) -> None:
    peer("nginx")
    limited = text(port, one, "concurrency_limit", "requests = 1")
    with RunningNode(folder, limited, "--engine", "nginx").until_ready():
        first = threading.Thread(target=ask, args=(port, "/slow"), daemon=True)
        first.start()
        assert one.waiting.wait(DEADLINE_S)
        refused = ask(port)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        one.release.set()
        first.join(DEADLINE_S)
        until(lambda: ask(port).status == 200, "room for another request")
