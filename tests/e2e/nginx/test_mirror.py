"""Mirrored requests of a node that drives an nginx: `mirror`, with a share and a largest body."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest
from chance import likely
from peers import peer
from running_node import RunningNode
from waiting import DEADLINE_S, until

from headgate.testing import Upstream

CONFIG = """
[node]
admin = "off"

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.all]
upstream = "live"
mirror = {{ upstream = "shadow", max_body = "1KiB" }}

[routes.half]
match = [{{ path = {{ prefix = "/half" }} }}]
upstream = "live"
mirror = {{ upstream = "shadow", percent = 50 }}

[routes.away]
match = [{{ path = {{ prefix = "/away" }} }}]
upstream = "live"
mirror = {{ upstream = "away" }}

[routes.both]
match = [{{ path = {{ prefix = "/both" }} }}]
upstream = "live"
mirror = [{{ upstream = "shadow", percent = 50 }}, {{ upstream = "canary", percent = 50 }}]

[upstreams.live]
endpoints = ["{live}"]

[upstreams.canary]
endpoints = ["{canary}"]

[upstreams.shadow]
endpoints = ["{shadow}"]

[upstreams.away]
endpoints = ["127.0.0.1:1"]
"""


@pytest.fixture
def live() -> Iterator[Upstream]:
    """A server whose answers clients get."""
    with Upstream("live") as one:
        yield one


@pytest.fixture
def shadow() -> Iterator[Upstream]:
    """A server whose answers nobody gets."""
    with Upstream("shadow", status=500) as one:
        yield one


@pytest.fixture
def canary() -> Iterator[Upstream]:
    """Another one."""
    with Upstream("canary") as one:
        yield one


@pytest.fixture
def link(
    folder: Path, port: int, live: Upstream, shadow: Upstream, canary: Upstream, probed: None
) -> Iterator[http.client.HTTPConnection]:
    """A connection to a node that drives an nginx."""
    peer("nginx")
    servers = {"live": live.address, "shadow": shadow.address, "canary": canary.address}
    text = CONFIG.format(port=port, **servers)
    with RunningNode(folder, text, "--engine", "nginx").until_ready():
        one = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        yield one
        one.close()


def ask(
    link: http.client.HTTPConnection,
    target: str,
    body: bytes | list[bytes] | None = None,
    headers: dict[str, str] | None = None,
) -> None:
    """Sends a request, which must get the answer of its own upstream."""
    chunked = isinstance(body, list)
    link.request("POST" if body else "GET", target, body, headers or {}, encode_chunked=chunked)
    answer = link.getresponse()
    assert (answer.status, answer.read()) == (200, b"live")


def test_copies_go_to_the_mirror(
    link: http.client.HTTPConnection, live: Upstream, shadow: Upstream
) -> None:
    chunks = {"Transfer-Encoding": "chunked"}
    ask(link, "/a%20b?c=1", headers={"X-Headgate-Mirror": "forged"})
    ask(link, "/small", b"x" * 1_024)
    ask(link, "/large", b"x" * 1_025)
    ask(link, "/pieces", [b"abc", b"def"], chunks)
    ask(link, "/many", [b"x" * 600, b"y" * 600], chunks)
    until(lambda: len(shadow.seen) == 3, "three copies")
    found = {one.target: one for one in shadow.seen}
    assert found.keys() == {"/a%20b?c=1", "/small", "/pieces"}
    assert len(found["/small"].body) == 1_024
    assert found["/pieces"].body == b"abcdef"
    assert {one.headers["x-headgate-mirror"] for one in shadow.seen} == {"all"}
    same = {one.target: one.headers["x-request-id"] for one in live.seen}
    assert all(same[one.target] == one.headers["x-request-id"] for one in shadow.seen)

    for _ in range(100):
        ask(link, "/half")
    # The requests of one connection are mirrored one after the other.
    ask(link, "/last")
    until(lambda: shadow.seen[-1].target == "/last", "the last copy")
    assert sum(one.target == "/half" for one in shadow.seen) in likely(100, 1 / 2)

    ask(link, "/away")
    ask(link, "/away")


def test_two_mirrors_draw_each_for_itself(
    link: http.client.HTTPConnection, shadow: Upstream, canary: Upstream
) -> None:
    for number in range(200):
        ask(link, f"/both/{number}", b"x" * 10)
    # When it is mirrored, all copies of the requests before it have ended.
    ask(link, "/last")
    until(lambda: any(one.target == "/last" for one in shadow.seen), "the last copy")
    first, second = (
        {one.target for one in server.seen if one.body == b"x" * 10} for server in (shadow, canary)
    )
    assert len(first) in likely(200, 1 / 2)
    assert len(second) in likely(200, 1 / 2)
    # Some requests go to both, and some to neither.
    assert len(first & second) in likely(200, 1 / 4)
