"""`expires` on both engines: of endpoints' answers and of our own."""

import http.client
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import pytest
from http_server import serving_http
from peers import peer
from running_node import RunningNode
from waiting import DEADLINE_S

CHAINS = {
    "hour": '{ expires = { after = "1h" } }',
    "now": '{ expires = { after = "now" } }',
    "max": '{ expires = { after = "max" } }',
    "past": '{ expires = { after = "past" } }',
    "public": '{ response_headers = { add = { cache-control = "public" } } }, '
    '{ expires = { after = "1h" } }',
}
RULES = {
    "hour": ["max-age=3600"],
    "now": ["max-age=0"],
    "max": ["max-age=315360000"],
    "past": ["no-cache"],
    "public": ["max-age=3600", "public"],
}
DATES = {"max": "Thu, 31 Dec 2037 23:55:55 GMT", "past": "Thu, 01 Jan 1970 00:00:01 GMT"}
LEFT = ["no-store"]
"""The endpoint's rule."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(int(self.path.rpartition("/")[2]))
        self.send_header("Content-Length", "0")
        self.send_header("Cache-Control", LEFT[0])
        self.send_header("Expires", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def backend() -> Iterator[str]:
    """The address of a server that answers with the status that the path says."""
    with serving_http(_Handler) as port:
        yield f"127.0.0.1:{port}"


class Told(NamedTuple):
    """What an answer says about caches."""

    rules: list[str]
    expires: list[str]
    after_s: int | None
    """The seconds from its own date to that in `Expires`."""
    took_s: int = 0
    """The whole seconds from the question to the answer."""


def told(port: int, path: str) -> Told:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    began = time.monotonic()
    connection.request("GET", path)
    answer = connection.getresponse()
    took_s = int(time.monotonic() - began)
    rules = sorted(answer.headers.get_all("cache-control", []))
    expires = answer.headers.get_all("expires", [])
    date = answer.headers["date"]
    connection.close()
    after_s = None
    if len(expires) == 1 and expires[0] != "0":
        passed = parsedate_to_datetime(expires[0]) - parsedate_to_datetime(date)
        after_s = int(passed.total_seconds())
    return Told(rules, expires, after_s, took_s)


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_an_answer_without_an_error_says_how_long_it_may_be_used(
    folder: Path, port: int, backend: str, engine: str
) -> None:
    if engine == "nginx":
        peer("nginx")
    text = (
        f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n'
        f'[upstreams.app]\nendpoints = ["{backend}"]\n'
    )
    for name, chain in CHAINS.items():
        for does in ('upstream = "app"', "respond = { status = 200 }"):
            place = f"{'own/' if 'respond' in does else ''}{name}"
            text += (
                f'[routes.{place.replace("/", "-")}]\nmatch = {{ path.prefix = "/{place}" }}\n'
                f"middlewares = [{chain}]\n{does}\n"
            )
    with RunningNode(folder, text, "--engine", engine).until_ready():
        for name, rules in RULES.items():
            for path in (f"/{name}/200", f"/{name}/304", f"/own/{name}"):
                found = told(port, path)
                assert found.rules == rules, path
                if name in DATES:
                    assert found.expires == [DATES[name]], path
                else:
                    # The answer's own date may be the endpoint's, of before it came to the engine.
                    wanted = 0 if name == "now" else 3600
                    assert found.after_s is not None, path
                    assert 0 <= found.after_s - wanted <= 1 + found.took_s, path
        assert told(port, "/hour/404")[:3] == (LEFT, ["0"], None)
        assert told(port, "/public/503").rules == [*LEFT, "public"]
