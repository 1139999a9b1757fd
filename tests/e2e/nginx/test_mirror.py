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

[upstreams.live]
endpoints = ["{live}"]

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


@pytest.mark.usefixtures("probed")
def test_copies_go_to_the_mirror(folder: Path, port: int, live: Upstream, shadow: Upstream) -> None:
    peer("nginx")
    text = CONFIG.format(port=port, live=live.address, shadow=shadow.address)
    with RunningNode(folder, text, "--engine", "nginx").until_ready():
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)

        def ask(
            target: str,
            body: bytes | list[bytes] | None = None,
            headers: dict[str, str] | None = None,
        ) -> None:
            chunked = isinstance(body, list)
            link.request(
                "POST" if body else "GET", target, body, headers or {}, encode_chunked=chunked
            )
            answer = link.getresponse()
            assert (answer.status, answer.read()) == (200, b"live")

        chunks = {"Transfer-Encoding": "chunked"}
        ask("/a%20b?c=1", headers={"X-Headgate-Mirror": "forged"})
        ask("/small", b"x" * 1_024)
        ask("/large", b"x" * 1_025)
        ask("/pieces", [b"abc", b"def"], chunks)
        ask("/many", [b"x" * 600, b"y" * 600], chunks)
        until(lambda: len(shadow.seen) == 3, "three copies")
        found = {one.target: one for one in shadow.seen}
        assert found.keys() == {"/a%20b?c=1", "/small", "/pieces"}
        assert len(found["/small"].body) == 1_024
        assert found["/pieces"].body == b"abcdef"
        assert {one.headers["x-headgate-mirror"] for one in shadow.seen} == {"all"}
        same = {one.target: one.headers["x-request-id"] for one in live.seen}
        assert all(same[one.target] == one.headers["x-request-id"] for one in shadow.seen)

        for _ in range(100):
            ask("/half")
        # The requests of one connection are mirrored one after the other.
        ask("/last")
        until(lambda: shadow.seen[-1].target == "/last", "the last copy")
        assert sum(one.target == "/half" for one in shadow.seen) in likely(100, 1 / 2)

        ask("/away")
        ask("/away")
        link.close()
