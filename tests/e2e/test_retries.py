"""`retry` of a route, with a real node and endpoints that fail in every way."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cut_off import CutOff
from running_node import RunningNode, config, get
from socket_server import SocketServer
from told import until_metric
from waiting import DEADLINE_S, until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy"
CLOSE = b""
HANG = b"hang"
MOST = 100
LATE = "12s"
"""Longer than a machine holds up an endpoint that means to answer."""


class Endpoint(SocketServer):
    """Answers its requests in the order of `answers`; the last one stays. `CLOSE` resets the
    connection, `HANG` waits for its end."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.bodies: list[bytes] = []
        super().__init__()

    def serve(self, link: socket.socket) -> None:
        """Keeps the bodies of requests, and answers."""
        with link.makefile("rb") as read:
            while lines := list(iter(lambda: read.readline().strip().lower(), b"")):
                lengths = [line.split(b":")[1] for line in lines if line.startswith(b"content-le")]
                self.bodies.append(read.read(int(lengths[0])) if lengths else b"")
                answer = self.answers[min(len(self.bodies), len(self.answers)) - 1]
                if answer == HANG:
                    with CutOff():
                        read.read(1)
                if answer in (CLOSE, HANG):
                    return
                link.sendall(answer)

    @property
    def requests(self) -> int:
        """How many it got."""
        return len(self.bodies)


def _config(port: int, endpoints: list[str], retry: str, rest: str = "") -> str:
    text = config(port, '", "'.join(endpoints))
    return text.replace('upstream = "app"', f'upstream = "app"\nretry = {{ {retry} }}\n{rest}')


def _send(port: int, request: bytes) -> bytes:
    """Sends a request on a connection of its own; returns the whole answer."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as s:
        s.sendall(request)
        return b"".join(iter(lambda: s.recv(65536), b""))


def _at_once(port: int, count: int) -> list[tuple[int, bytes]]:
    """The answers to requests that wait together."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(get, [port] * count))


def _post(port: int, body: bytes) -> int:
    head = f"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    return int(_send(port, head.encode() + body).split()[1])


def _counted(node: RunningNode, family: str, reason: str) -> int:
    page = node.admin("GET", "/metrics")[1].decode()
    line = f'headgate_{family}_total{{reason="{reason}"}} '
    return next((int(row.split()[1]) for row in page.splitlines() if row.startswith(line)), 0)


@pytest.mark.parametrize(
    ("failing", "on", "reason"),
    [(BUSY, "503", "status"), (CLOSE, "reset", "reset"), (HANG, "timeout", "timeout")],
)
def test_a_request_that_fails_at_one_endpoint_is_answered_by_another(
    folder: Path, port: int, failing: bytes, on: str, reason: str
) -> None:
    bad, good = Endpoint(failing), Endpoint(OK)
    times = f'timeouts = {{ per_try = "{LATE}" }}'
    text = _config(port, [bad.address, good.address], f'on = ["{on}"]', times)
    with RunningNode(folder, text).until_ready() as node:
        assert _at_once(port, 6) == [(200, b"ok")] * 6
        assert bad.requests > 0
        until(lambda: _counted(node, "retries", reason) == bad.requests, "every retry is counted")
        assert good.requests == 6


def test_without_a_policy_only_connecting_is_tried_again(
    folder: Path, port: int, dead: int
) -> None:
    refusing = f"127.0.0.1:{dead}"
    bad, good = Endpoint(BUSY), Endpoint(OK)
    text = config(port, '", "'.join([refusing, bad.address, good.address]))
    with RunningNode(folder, text).until_ready():
        answers = {get(port) for _ in range(12)}
    assert answers == {(200, b"ok"), (503, b"busy")}


def test_a_post_is_sent_twice_with_its_body_only_if_the_route_says_so(
    folder: Path, port: int
) -> None:
    body = bytes(range(256)) * 200
    end = Endpoint(BUSY, BUSY, OK)
    with RunningNode(folder, _config(port, [end.address], 'on = ["503"]')).until_ready() as node:
        assert _post(port, body) == 503
        until(lambda: _counted(node, "retries_denied", "method") == 1, "the refusal is counted")
        node.write(_config(port, [end.address], 'on = ["503"], methods = ["POST"]'))
        assert node.command("reload").returncode == 0
        assert _post(port, body) == 200
    assert end.bodies == [body] * 3


def test_a_broken_upstream_gets_a_fifth_and_three_a_second_more(folder: Path, port: int) -> None:
    end = Endpoint(BUSY)
    policy = 'retries = 10, on = ["503"], backoff = { base = "1ms", max = "1ms" }'
    with RunningNode(folder, _config(port, [end.address], policy)).until_ready() as node:
        began = time.monotonic()
        assert {get(port) for _ in range(MOST)} == {(503, b"busy")}
        # The workers share the three of each second and round up.
        seconds = 10 + time.monotonic() - began
        assert end.requests <= MOST * 1.2 + (3 + 8) * seconds
        until(lambda: _counted(node, "retries_denied", "budget") > 0, "a refusal is counted")


def _in_back_off(
    folder: Path, port: int, end: Endpoint, meanwhile: Callable[[RunningNode, socket.socket], None]
) -> bytes:
    """Does something while a request waits for its second try; returns the answer."""
    wait = f'on = ["503"], backoff = {{ base = "{LATE}", max = "{LATE}", jitter = "none" }}'
    with (
        RunningNode(folder, _config(port, [end.address], wait)).until_ready() as node,
        socket.create_connection(("127.0.0.1", port), DEADLINE_S) as s,
    ):
        s.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        until(lambda: _counted(node, "retries", "status") == 1, "the back-off")
        meanwhile(node, s)
        return b"".join(iter(lambda: s.recv(65536), b"")) if s.fileno() >= 0 else b""


def test_a_client_that_goes_away_during_the_back_off_gets_no_second_try(
    folder: Path, port: int
) -> None:
    end = Endpoint(BUSY, OK)

    def leave(node: RunningNode, s: socket.socket) -> None:
        s.close()
        until(lambda: _counted(node, "rejects", "client-gone") == 1, "the end of the request")

    assert _in_back_off(folder, port, end, leave) == b""
    assert end.requests == 1


def test_a_reload_during_the_back_off_gives_the_second_try_the_new_endpoints(
    folder: Path, port: int
) -> None:
    end, other = Endpoint(BUSY), Endpoint(OK)

    def change(node: RunningNode, _: socket.socket) -> None:
        node.write(config(port, other.address))
        assert node.admin("POST", "/reload")[0] == 200

    assert _in_back_off(folder, port, end, change).startswith(b"HTTP/1.1 200 ")
    assert (end.requests, other.requests) == (1, 1)


def test_a_hedged_request_is_answered_by_the_second_endpoint(folder: Path, port: int) -> None:
    slow, quick = Endpoint(HANG), Endpoint(OK)
    text = _config(port, [slow.address, quick.address], f'hedge = {{ after = "{LATE}" }}')
    with RunningNode(folder, text).until_ready() as node:
        assert _at_once(port, 4) == [(200, b"ok")] * 4
        assert slow.requests > 0
        for outcome in ("sent", "won"):
            until_metric(node, f'headgate_hedges_total{{outcome="{outcome}"}}', slow.requests)
