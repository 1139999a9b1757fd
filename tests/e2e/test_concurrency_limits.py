"""`concurrency_limit` on a real node, with an endpoint that keeps requests waiting."""

import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from limited import ask, counted
from peers import peer
from running_node import RunningNode, Upstream, config
from waiting import DEADLINE_S, until

USED = 'upstream = "app"\nmiddlewares = ["few"]'
SLOW = b"GET /slow HTTP/1.1\r\nhost: a.example\r\n\r\n"


def text(port: int, upstream: Upstream, keys: str = "requests = 1") -> str:
    """A config whose one route is limited."""
    plain = config(port, upstream.address, extra="workers = 2\n")
    plain = plain.replace("[listeners.web]\n", "[listeners.web]\nh2c = true\n")
    limited = plain.replace('upstream = "app"', USED)
    return f"{limited}\n[middlewares.few.concurrency_limit]\n{keys}\n"


@pytest.fixture
def slow(port: int, one: Upstream) -> Callable[[], "threading.Thread"]:
    """Begins a request that the endpoint keeps waiting; returns once it is there."""

    def begin() -> threading.Thread:
        thread = threading.Thread(target=ask, args=(port, "/slow"), daemon=True)
        thread.start()
        assert one.waiting.wait(DEADLINE_S)
        return thread

    return begin


def test_a_key_has_so_many_requests_in_progress_and_their_end_makes_room(
    folder: Path, port: int, one: Upstream, slow: Callable[[], threading.Thread]
) -> None:
    with RunningNode(folder, text(port, one)).until_ready() as node:
        first = slow()
        refused = ask(port)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        # The next snapshot goes on with the counts.
        node.write(
            text(port, one) + '[routes.b]\nhosts = ["b.example"]\nrespond = { status = 200 }'
        )
        done = node.command("reload")
        assert done.returncode == 0, done.stdout + done.stderr
        assert ask(port).status == 429
        one.release.set()
        first.join(DEADLINE_S)
        until(lambda: ask(port).status == 200, "room for another request")
        until(lambda: counted(node, "concurrency_limit", "limited") >= 2, "the count of refusals")


def test_a_client_that_leaves_makes_room(folder: Path, port: int, one: Upstream) -> None:
    with RunningNode(folder, text(port, one)).until_ready():
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as client:
            client.sendall(SLOW)
            assert one.waiting.wait(DEADLINE_S)
            assert ask(port).status == 429
            # A mere end of what it sends would not say that it wants no answer.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until(lambda: ask(port).status == 200, "room for another request")


def test_each_stream_of_a_connection_counts(folder: Path, port: int, one: Upstream) -> None:
    h2load = peer("h2load")
    with RunningNode(folder, text(port, one, "requests = 2")).until_ready() as node:
        command = [str(h2load), "-n", "5", "-c", "1", "-m", "5", f"http://127.0.0.1:{port}/slow"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            until(lambda: counted(node, "concurrency_limit", "limited") == 3, "three refusals")
            one.release.set()
            out, _ = client.communicate(timeout=DEADLINE_S)
        assert "status codes: 2 2xx, 0 3xx, 3 4xx, 0 5xx" in out


def test_a_dry_run_refuses_nothing(
    folder: Path, port: int, one: Upstream, slow: Callable[[], threading.Thread]
) -> None:
    with RunningNode(folder, text(port, one, "requests = 1\ndry_run = true")).until_ready() as node:
        first = slow()
        assert ask(port).status == 200
        until(lambda: counted(node, "concurrency_limit", "dry_run") == 1, "the count")
        one.release.set()
        first.join(DEADLINE_S)
