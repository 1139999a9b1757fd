"""`bandwidth` of a node that drives an nginx: `limit_rate`."""

import http.client
import time
from pathlib import Path

import pytest
from peers import peer
from running_node import RunningNode, Upstream, config
from waiting import DEADLINE_S

SIZE = 300_000
LIMITED = """
[middlewares.few.bandwidth]
download = "100kB/s"
"""


@pytest.mark.usefixtures("probed")
def test_nginx_holds_answers_back(folder: Path, port: int) -> None:
    peer("nginx")
    large = Upstream("x" * SIZE)
    used = 'upstream = "app"\nmiddlewares = ["few"]'
    text = config(port, large.address).replace('upstream = "app"', used) + LIMITED
    try:
        with RunningNode(folder, text, "--engine", "nginx").until_ready():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
            began = time.monotonic()
            connection.request("GET", "/", headers={"host": "a.example"})
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"x" * SIZE)
            # nginx counts in whole seconds, of which the first may have begun long ago.
            assert time.monotonic() - began >= 0.5
            connection.close()
    finally:
        large.close()
