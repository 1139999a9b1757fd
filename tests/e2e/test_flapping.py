"""Endpoints that fail every other time: how often they are judged anew, and what clients see."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Self

import pytest
from running_node import RunningNode, config, get
from waiting import until

from headgate.testing.server import HttpServer

CHECK = (
    'health_check = { path = "/check", interval = "1s", timeout = "1s", '
    'fast_interval = "100ms", max_interval = "1s", unhealthy = 12 }\n'
)
"""While this process is held up, its checks time out: as many in a row as a stall has seconds."""
ENOUGH = 26
"""Checks after which a judgement by single results, or by all of them, would have changed."""
ALTERNATE = (200, 500)


class Flapping:
    """Answers checks and requests each with a series of statuses of their own, and its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.checks: Iterator[int] = itertools.repeat(200)
        self.requests: Iterator[int] = itertools.repeat(200)
        self.seen = 0
        """Checks that were answered."""
        self._server = HttpServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def until_checked(self, more: int) -> None:
        """Waits until so many further checks were answered."""
        enough = self.seen + more
        until(lambda: self.seen >= enough, f"{more} checks")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                is_check = self.path == "/check"
                body = endpoint.name.encode()
                self.send_response(next(endpoint.checks if is_check else endpoint.requests))
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                endpoint.seen += is_check

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@pytest.fixture
def four() -> Iterator[list[Flapping]]:
    """Four endpoints that work."""
    with ExitStack() as stack:
        yield [stack.enter_context(Flapping(name)) for name in ("a", "b", "c", "d")]


def _config(port: int, endpoints: list[Flapping], rest: str, retry: str = "") -> str:
    text = config(port, '", "'.join(one.address for one in endpoints)) + rest
    return text.replace('upstream = "app"\n', f'upstream = "app"\n{retry}')


def _states(node: RunningNode) -> list[str]:
    health = json.loads(node.admin("GET", "/health")[1])
    return [one["state"] for up in health["upstreams"] for one in up["endpoints"]]


def _served(port: int) -> set[bytes]:
    return {get(port)[1] for _ in range(8)}


def _changes(node: RunningNode, to: str) -> int:
    """How often the node told that an endpoint changed to this state."""
    return node.log.read_text().count(f" of upstream app is {to}: ")


def test_checks_that_fail_every_other_time_move_no_endpoint(
    folder: Path, port: int, four: list[Flapping]
) -> None:
    steady, other = four[:2]
    with RunningNode(folder, _config(port, [steady, other], CHECK)).until_ready() as node:
        until(lambda: _states(node) == ["up", "up"], "the states")
        # The first check decides alone: one that is late tells of an endpoint that is down.
        until(lambda: _changes(node, "up") == 2, "the log")
        fell = _changes(node, "down")
        other.checks = itertools.cycle(ALTERNATE)
        other.until_checked(ENOUGH)
        assert (_states(node), _changes(node, "down")) == (["up", "up"], fell)
        assert _served(port) == {b"a", b"b"}

        other.checks = itertools.repeat(500)
        until(lambda: _states(node) == ["up", "down"], "the states")
        until(lambda: _changes(node, "down") == fell + 1, "the log")
        came = _changes(node, "up")
        other.checks = itertools.cycle(ALTERNATE)
        other.until_checked(ENOUGH)
        assert (_states(node), _changes(node, "up")) == (["up", "down"], came)
        assert _served(port) == {b"a"}

        other.checks = itertools.repeat(200)
        until(lambda: _states(node) == ["up", "up"], "the states")
        # The log may be a moment behind.
        until(lambda: _changes(node, "up") > came, "the log")
        assert (_changes(node, "down"), _changes(node, "up")) == (fell + 1, came + 1)


def test_all_endpoints_fail_and_no_more_than_the_allowed_part_is_ejected(
    folder: Path, port: int, four: list[Flapping]
) -> None:
    rest = 'outlier_detection = { max_ejected = 50, ejection = "10m", max_ejection = "10m" }\n'
    with RunningNode(folder, _config(port, four, rest)).until_ready() as node:
        for one in four:
            one.requests = itertools.repeat(500)
        seen: list[tuple[int, bytes]] = []

        def two_are_out() -> bool:
            seen.append(get(port))
            return _states(node).count("ejected") == 2

        until(two_are_out, "the ejections")
        # As many requests again as would eject the other two.
        seen += [get(port) for _ in range(40)]
        assert _states(node).count("ejected") == 2
        # Each was an answer of an endpoint, none a refusal of the node.
        assert {body for _, body in seen} == {b"a", b"b", b"c", b"d"}
        assert {status for status, _ in seen} == {500}


def _tries(get_one: Callable[[], tuple[int, bytes]], node: RunningNode) -> list[int]:
    seen: list[int] = []

    def is_out() -> bool:
        seen.append(get_one()[0])
        return "ejected" in _states(node)

    until(is_out, "the ejection")
    return seen


def test_an_endpoint_that_fails_every_other_request_is_ejected_and_clients_see_none_of_it(
    folder: Path, port: int, four: list[Flapping]
) -> None:
    steady, other = four[:2]
    rest = 'outlier_detection = { ejection = "10m", max_ejection = "10m" }\n'
    retry = 'retry = { on = ["5xx"], budget = { percent = 100, per_second = 100 } }\n'
    text = _config(port, [steady, other], rest, retry)
    with RunningNode(folder, text).until_ready() as node:
        other.requests = itertools.cycle((500, 200))
        assert set(_tries(lambda: get(port), node)) == {200}
        assert _states(node) == ["up", "ejected"]
        assert _served(port) == {b"a"}
        told = json.loads(node.admin("GET", "/health")[1])["upstreams"][0]["endpoints"][1]
        assert told["why"].endswith("too large a part of its answers failed")
