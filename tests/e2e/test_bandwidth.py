"""`bandwidth` on a real node: bodies come whole, and not before their time."""

import http.client
import time
from pathlib import Path

from limited import counted
from running_node import RunningNode, Upstream, config
from waiting import DEADLINE_S, until

SIZE = 300_000
LEAST_S = 0.19
"""For what is beyond a burst of 100 kB, at 1 MB/s."""

LIMITED = 'upstream = "app"\nmiddlewares = ["few"]'


def text(port: int, upstream: Upstream, keys: str, extra: str = "") -> str:
    """A config whose one route has a limit of bytes."""
    plain = config(port, upstream.address, extra=extra).replace('upstream = "app"', LIMITED)
    return f"{plain}\n[middlewares.few.bandwidth]\n{keys}\n"


def took_s(port: int, body: bytes | None = None) -> float:
    """How long a request took whose answer has 300,000 bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    began = time.monotonic()
    try:
        method = "GET" if body is None else "POST"
        connection.request(method, "/", body=body, headers={"host": "a.example"})
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"x" * SIZE)
        return time.monotonic() - began
    finally:
        connection.close()


def test_answers_and_requests_are_held_back_and_come_whole(folder: Path, port: int) -> None:
    large = Upstream("x" * SIZE)
    keys = '{way} = "1MB/s"\nburst = "100kB"\nkey = "client_ip"'
    try:
        first = text(port, large, keys.format(way="download"), "workers = 2\n")
        with RunningNode(folder, first).until_ready() as node:
            assert took_s(port) >= LEAST_S
            until(lambda: counted(node, "bandwidth", "held") == 1, "the count of what waited")
            node.write(text(port, large, keys.format(way="upload"), "workers = 2\n"))
            done = node.command("reload")
            assert done.returncode == 0, done.stdout + done.stderr
            assert took_s(port, b"y" * SIZE) >= LEAST_S
            until(lambda: counted(node, "bandwidth", "held") == 2, "the count of both")
    finally:
        large.close()
