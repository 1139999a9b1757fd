"""`response_headers` with `statuses`, on both engines: of endpoints' answers and of our own."""

import http.client
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from http_server import serving_http
from peers import peer
from running_node import RunningNode
from waiting import DEADLINE_S

MIDDLEWARES = """
[middlewares.good.response_headers]
add = { x-good = "${host}" }
statuses = [200, "301-304"]

[middlewares.bad.response_headers]
add = { x-bad = "1" }
statuses = ["4xx", 502]

[middlewares.all.response_headers]
add = { x-all = "1" }
"""
OF_STATUS = {
    200: {"x-good", "x-all"},
    206: {"x-all"},
    303: {"x-good", "x-all"},
    404: {"x-bad", "x-all"},
    502: {"x-bad", "x-all"},
    503: {"x-all"},
}
OURS = (404, 503)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def backend() -> Iterator[str]:
    """The address of a server that answers with the status that the path says."""
    with serving_http(_Handler) as port:
        yield f"127.0.0.1:{port}"


def marks(port: int, path: str) -> tuple[int, set[str]]:
    """The status of an answer, and which of the headers it has."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    connection.request("GET", path, headers={"Host": "a.example"})
    answer = connection.getresponse()
    found = {name.lower() for name, _ in answer.getheaders()}
    assert answer.getheader("x-good") in (None, "a.example")
    connection.close()
    return answer.status, found & {"x-good", "x-bad", "x-all"}


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_header_is_added_to_answers_of_its_statuses(
    folder: Path, port: int, backend: str, engine: str
) -> None:
    if engine == "nginx":
        peer("nginx")
    chain = 'middlewares = ["good", "bad", "all"]'
    text = (
        f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n{MIDDLEWARES}'
        f'[upstreams.app]\nendpoints = ["{backend}"]\n'
        f'[upstreams.gone]\nendpoints = ["127.0.0.1:1"]\n'
        f'[routes.app]\nupstream = "app"\n{chain}\n'
        f'[routes.gone]\nmatch = {{ path.prefix = "/gone" }}\nupstream = "gone"\n{chain}\n'
    )
    for status in OURS:
        match = f'match = {{ path.prefix = "/own/{status}" }}'
        text += f"[routes.own{status}]\n{match}\nrespond = {{ status = {status} }}\n{chain}\n"
    with RunningNode(folder, text, "--engine", engine).until_ready():
        for status, expected in OF_STATUS.items():
            assert marks(port, f"/{status}") == (status, expected)
        for status in OURS:
            assert marks(port, f"/own/{status}") == (status, OF_STATUS[status])
        assert marks(port, "/gone") == (502, OF_STATUS[502])
