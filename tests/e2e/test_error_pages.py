"""Pages of one's own: for errors of endpoints, of the node, and of middlewares that refuse."""

import http.client
import socket
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final

import pytest
from http_server import serving_http
from peers import peer
from ports import dead_port, free_port
from running_node import RunningNode
from told import until_metric
from waiting import DEADLINE_S, until

CONFIG: Final = """
[node]
admin = "off"

[listeners.web]
address = "127.0.0.1:{port}"
default = true
h2c = true

[middlewares.pages]
error_pages = {{ pages = [
  {{ statuses = [404], body = "<h1>nothing</h1>" }},
  {{ statuses = ["401", "429", "500-504"], body = {{ file = "{folder}/page.html" }} }},
  {{ statuses = [418], body = "{{}}", content_type = "application/json" }},
] }}

[hosts."shop.example"]
middlewares = ["pages"]

[routes.shop]
hosts = "shop.example"
upstream = "app"

[routes.inner]
hosts = "shop.example"
match = {{ path.prefix = "/inner" }}
middlewares = [{{ error_pages.pages = [{{ statuses = ["4xx"], body = "inner ${{status}}" }}] }}]
upstream = "app"

[routes.away]
hosts = "shop.example"
match = {{ path.prefix = "/away" }}
upstream = "away"

[routes.key]
hosts = "shop.example"
match = {{ path.prefix = "/key" }}
middlewares = [{{ api_key.keys.shop = "sha256:{key}" }}]
upstream = "app"

[routes.limited]
hosts = "shop.example"
match = {{ path.prefix = "/limited" }}
middlewares = [{{ rate_limit = {{ rate = "1/h" }} }}]
respond = {{ status = 404, body = "meant so" }}

[routes.again]
hosts = "shop.example"
match = {{ path.prefix = "/again" }}
upstream = "app"
retry = {{ on = ["503"], retries = 1, backoff = {{ base = "1ms", jitter = "none" }} }}

[upstreams.app]
endpoints = ["{address}"]

[upstreams.away]
endpoints = ["127.0.0.1:{dead}"]
"""
LONG: Final = b"x" * 3_000_000
PAGE: Final = "<h1>${status} ${reason}</h1> ${request_id} ${other}\n"


class _Errors(BaseHTTPRequestHandler):
    """Answers with the status that the path ends with; `/long/…` with a body of 3 MB."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        """Answers."""
        type(self).asked += 1
        is_second = self.path.startswith("/again") and type(self).asked % 2 == 0
        status = 200 if is_second else int(self.path.rpartition("/")[2])
        body = LONG if self.path.startswith("/long") else b"of the endpoint"
        self.send_response(status)
        for name, value in (
            ("content-type", "text/plain"),
            ("content-language", "en"),
            ("etag", '"v1"'),
            ("www-authenticate", "Basic"),
            ("set-cookie", "a=1"),
            ("x-app", "yes"),
            ("content-length", str(len(body))),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:
        """Answers without a look at the body."""
        self.close_connection = True
        self.do_GET()

    def do_HEAD(self) -> None:
        """Answers with the head alone."""
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def node(folder: Path, port: int) -> Iterator[RunningNode]:
    """A node with pages."""
    _Errors.asked = 0
    (folder / "page.html").write_text(PAGE)
    with dead_port() as dead, serving_http(_Errors) as app:
        text = CONFIG.format(
            port=port,
            folder=folder,
            address=f"127.0.0.1:{app}",
            dead=dead,
            key=sha256(b"secret").hexdigest(),
        )
        with RunningNode(folder, text).until_ready() as running:
            yield running


def asked(
    port: int, path: str, method: str = "GET", link: http.client.HTTPConnection | None = None
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an answer."""
    own = link or http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    own.request(method, path, headers={"host": "shop.example"})
    answer = own.getresponse()
    found = {name.lower(): value for name, value in answer.getheaders()}
    body = answer.read().decode()
    if link is None:
        own.close()
    return answer.status, found, body


def test_the_page_has_the_place_of_an_endpoint_s_body(node: RunningNode, port: int) -> None:
    status, headers, body = asked(port, "/404")
    assert (status, body) == (404, "<h1>nothing</h1>")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["content-length"] == str(len(body))
    assert (headers["www-authenticate"], headers["set-cookie"], headers["x-app"]) == (
        "Basic",
        "a=1",
        "yes",
    )
    assert not {"etag", "content-language"} & headers.keys()
    assert "date" in headers
    assert asked(port, "/418")[1]["content-type"] == "application/json"
    assert asked(port, "/410")[2] == "of the endpoint"
    assert asked(port, "/200")[2] == "of the endpoint"
    name = 'headgate_middleware_results_total{{kind="error_pages",middleware="pages",result="{}"}}'
    until_metric(node, name.format("endpoint"), 2)
    until_metric(node, name.format("node"), 0)


def test_a_page_says_status_reason_and_id(node: RunningNode, port: int) -> None:
    _, _, body = asked(port, "/500")
    begin, _, rest = body.partition(" Internal Server Error</h1> ")
    request_id, _, end = rest.partition(" ")
    assert (begin, end) == ("<h1>500", "${other}\n")
    assert request_id.isalnum()


def test_errors_of_the_node_have_pages_too(node: RunningNode, port: int) -> None:
    status, headers, body = asked(port, "/away")
    assert (status, body[:19]) == (502, "<h1>502 Bad Gateway")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert "connect" in headers["proxy-status"]
    until_metric(node, 'headgate_rejects_total{reason="connect-refused"}', 1)


def test_refusals_of_middlewares_keep_their_headers(node: RunningNode, port: int) -> None:
    status, headers, body = asked(port, "/key/200")
    assert (status, body[:23]) == (401, "<h1>401 Unauthorized</h1>"[:23])
    assert headers["www-authenticate"]
    assert asked(port, "/limited")[::2] == (404, "meant so")
    status, headers, body = asked(port, "/limited")
    assert (status, body[:25]) == (429, "<h1>429 Too Many Requests")
    assert int(headers["retry-after"]) > 0
    assert headers["content-type"] == "text/html; charset=utf-8"


def test_the_innermost_page_counts(node: RunningNode, port: int) -> None:
    assert asked(port, "/inner/404")[2] == "inner 404"
    assert asked(port, "/inner/500")[2].startswith("<h1>500")


def test_a_page_is_for_the_answer_after_the_last_try(node: RunningNode, port: int) -> None:
    assert asked(port, "/again/503")[::2] == (200, "of the endpoint")
    assert _Errors.asked == 2


def test_long_bodies_are_not_waited_for_and_connections_stay(node: RunningNode, port: int) -> None:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    link.connect()
    kept = link.sock
    for _ in range(3):
        assert asked(port, "/long/404", link=link)[2] == "<h1>nothing</h1>"
        status, headers, body = asked(port, "/long/404", "HEAD", link)
        assert (status, headers["content-length"], body) == (404, "16", "")
    assert link.sock is kept
    link.close()


def test_clients_of_http2_get_them(node: RunningNode, port: int) -> None:
    command = [str(peer("curl")), "-sS", "--http2-prior-knowledge", "-w", " %{response_code}"]
    command += ["--noproxy", "*", "-H", "host: shop.example", "--max-time", str(DEADLINE_S)]
    for path, body in (("/long/404", "<h1>nothing</h1> 404"), ("/inner/404", "inner 404 404")):
        told = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
        )
        assert told.stdout == body


def test_an_endpoint_of_http2_that_refuses_an_upload(
    node: RunningNode, folder: Path, port: int
) -> None:
    front = free_port()
    text = f"""
[node]
admin = "off"

[listeners.web]
address = "127.0.0.1:{front}"
default = true

[routes.all]
middlewares = [{{ error_pages.pages = [{{ statuses = [404], body = "of the front" }}] }}]
upstream = "back"

[upstreams.back]
endpoints = ["127.0.0.1:{port}"]
protocol = "h2c"
host_header = "pass"
"""
    (folder / "front").mkdir()
    with RunningNode(folder / "front", text).until_ready():
        for _ in range(3):
            assert asked(front, "/404")[::2] == (404, "of the front")
            assert asked(front, "/200")[2] == "of the endpoint"
        with socket.create_connection(("127.0.0.1", front), DEADLINE_S) as link:
            head = "POST /404 HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 1000000\r\n\r\n"
            link.sendall(head.encode())
            answer = b""
            while got := link.recv(65536):
                answer += got
            assert answer.startswith(b"HTTP/1.1 404 ") and answer.endswith(b"of the front")
            assert b"\r\nconnection: close\r\n" in answer


def test_a_changed_file_counts(node: RunningNode, port: int, folder: Path) -> None:
    (folder / "page.html").write_text("changed")
    until(lambda: asked(port, "/500")[2] == "changed", "the file is read again")


def test_wrong_options_are_told_at_their_place(folder: Path) -> None:
    text = '[middlewares.pages.error_pages]\npages = [{ statuses = [200, "5xx"], body = 3 }]\n'
    (folder / "wrong.toml").write_text(text)
    told = subprocess.run(
        [*RunningNode.program, "check", str(folder / "wrong.toml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode != 0
    said = told.stdout + told.stderr
    assert "middlewares.pages.error_pages.pages[0].statuses[0]" in said
    assert "200 is not a status of errors" in said
    assert "middlewares.pages.error_pages.pages[0].body" in said
