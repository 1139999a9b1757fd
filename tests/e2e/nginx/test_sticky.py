"""Sticky splits of a node that drives an nginx: `split_clients` over what keeps a client."""

import http.client
from pathlib import Path

import pytest
from peers import peer
from running_node import RunningNode, Upstream
from waiting import DEADLINE_S

CONFIG = """
[node]
admin = "off"

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[routes.all]
split = [{{ upstream = "one", weight = 3 }}, {{ upstream = "two" }}]
sticky = {{ by = ["header:x-user"] }}

[upstreams.one]
endpoints = ["{one}"]

[upstreams.two]
endpoints = ["{two}"]
"""


@pytest.mark.usefixtures("probed")
def test_a_client_keeps_its_branch(folder: Path, port: int, one: Upstream, two: Upstream) -> None:
    peer("nginx")
    text = CONFIG.format(port=port, one=one.address, two=two.address)
    with RunningNode(folder, text, "--engine", "nginx").until_ready():
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)

        def branch(user: str) -> str:
            link.request("GET", "/", headers={"x-user": user})
            return link.getresponse().read().decode()

        users = [f"user-{n}" for n in range(60)]
        first = [branch(user) for user in users]
        assert [branch(user) for user in users] == first
        # Three of four, within what 60 clients say about that.
        assert 33 <= first.count("one") <= 57
        link.close()
