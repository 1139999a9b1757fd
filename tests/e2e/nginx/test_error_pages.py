"""Pages of a route's own: nginx beside the native engine, over random statuses and pages."""

import contextlib
import http.client
import random
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from http_server import serving_http
from ports import dead_port, free_port
from running_node import RunningNode
from waiting import DEADLINE_S

HASH: Final = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
UNANSWERED: Final = {408, 444, 494, 495, 496, 497, 499}
KEPT: Final = (
    *("content-type", "content-length", "content-language", "etag", "last-modified"),
    *("set-cookie", "www-authenticate", "retry-after", "cache-control", "allow", "vary"),
    *("strict-transport-security", "access-control-allow-origin", "x-other", "proxy-status"),
)
"""What is compared of answers; nginx keeps no headers of endpoints that it does not know."""
LONG: Final = "\"quoted\" \\ $1 ${other} 'x' ä\n\t<script>`${'a'}`</script>\r\n" * 900

TEXT: Final = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[middlewares.pages]
error_pages = {{ pages = [{pages}] }}

[middlewares.wide]
error_pages = {{ pages = [
  {{ statuses = ["401", "403"], body = {{ file = "{folder}/long.html" }} }},
  {{ statuses = ["4xx", "5xx"], body = "<b>${{status}}|${{reason}}</b>${{request_id}}" }},
] }}

[middlewares.hsts.response_headers]
set = {{ strict-transport-security = "max-age=1", cache-control = "no-store" }}
remove = ["x-gone", "vary"]

[middlewares.shared.cors]
allow_origins = ["https://a.example"]

[routes.drawn]
match = [{{ path = {{ prefix = "/drawn" }} }}]
middlewares = ["pages"]
upstream = "app"

[routes.two]
match = [{{ path = {{ prefix = "/two" }} }}]
middlewares = ["wide", "hsts", "pages", "shared"]
upstream = "app"

[routes.picked]
match = [{{ path = {{ prefix = "/two" }}, headers = {{ x-pick = {{ exact = "me" }} }} }}]
middlewares = [
  "hsts",
  {{ error_pages.pages = [{{ statuses = ["4xx"], body = "picked", content_type = "a/b" }}] }},
]
upstream = "app"

[routes.away]
match = [{{ path = {{ prefix = "/away" }} }}]
middlewares = ["wide", "shared", "hsts"]
upstream = "away"

[routes.bare]
match = [{{ path = {{ prefix = "/bare" }} }}]
middlewares = ["hsts", {{ error_pages.pages = [{{ statuses = [404], body = "four" }}] }}]
upstream = "away"

[routes.here]
match = [{{ path = {{ prefix = "/here" }} }}]
middlewares = ["hsts", {{ ip_access = {{ deny = ["127.0.0.0/8"] }} }}, "wide"]
upstream = "app"

[routes.limited]
match = [{{ path = {{ prefix = "/limited" }} }}]
middlewares = ["hsts", {{ rate_limit = {{ rate = "1/m" }} }}, "wide"]
upstream = "app"

[routes.scarce]
match = [{{ path = {{ prefix = "/scarce" }} }}]
middlewares = [
  "hsts", {{ rate_limit = {{ rate = "1/m" }} }},
  {{ error_pages.pages = [{{ statuses = [404], body = "four" }}] }},
]
upstream = "app"

[routes.closed]
match = [{{ path = {{ prefix = "/closed" }} }}]
middlewares = ["hsts", {{ basic_auth = {{ users = ["alice:{hash}"] }} }}, "wide"]
upstream = "app"

[routes.asked]
match = [{{ path = {{ prefix = "/asked" }} }}]
middlewares = [
  "hsts", {{ ip_access = {{ deny = ["192.0.2.1"] }} }},
  {{ forward_auth = {{ upstream = "auth", path = "/ask", headers = ["x-wish"] }} }}, "wide",
]
upstream = "app"

[routes.unasked]
match = [{{ path = {{ prefix = "/unasked" }} }}]
middlewares = [
  {{ forward_auth = {{ upstream = "auth", path = "/ask", headers = ["x-wish"] }} }},
  {{ ip_access = {{ deny = ["127.0.0.1"] }} }}, "wide",
]
upstream = "app"

[routes.few]
match = [{{ path = {{ prefix = "/few" }} }}]
middlewares = [
  {{ forward_auth = {{ upstream = "auth", path = "/ask", headers = ["x-wish"] }} }},
  {{ error_pages.pages = [{{ statuses = [404], body = "four" }}] }},
]
upstream = "app"

[routes.small]
match = [{{ path = {{ prefix = "/small" }} }}]
middlewares = ["wide", "hsts"]
limits = {{ body = "1KiB" }}
upstream = "app"

[routes.odd]
match = [{{ path = {{ prefix = "/odd" }} }}]
middlewares = [{{ rewrite = {{ host = "${{header:x-host}}" }} }}, "wide"]
upstream = "app"

[routes.own]
match = [{{ path = {{ prefix = "/own" }} }}]
middlewares = ["wide"]
respond = {{ status = 404, body = "meant so" }}

[routes.parted]
match = [{{ path = {{ prefix = "/parted" }} }}]
middlewares = ["wide"]
split = [{{ upstream = "app", weight = 1 }}, {{ upstream = "other", weight = 1 }}]
mirror = {{ upstream = "copies" }}

[upstreams.app]
endpoints = ["127.0.0.1:{app}"]

[upstreams.other]
endpoints = ["127.0.0.1:{app}"]

[upstreams.copies]
endpoints = ["127.0.0.1:{app}"]

[upstreams.auth]
endpoints = ["127.0.0.1:{app}"]

[upstreams.away]
endpoints = ["127.0.0.1:{dead}"]
"""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


class Endpoint(BaseHTTPRequestHandler):
    """Answers with the status that the path ends with; `/ask` with that of `x-wish`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asks = self.path == "/ask"
        wish = self.headers.get("x-wish", "200")
        status = int(wish if asks else self.path.rpartition("/")[2])
        body = f"{status} of the endpoint".encode()
        self.send_response(status)
        lines = {"content-type": "text/plain", "content-language": "en", "etag": '"v1"'}
        lines |= {"retry-after": "7", "cache-control": "private", "vary": "Accept"}
        lines |= {"strict-transport-security": "max-age=9", "access-control-allow-origin": "*"}
        lines |= {"www-authenticate": 'Basic realm="x"', "set-cookie": "a=1", "x-gone": "1"}
        for name, value in ({} if asks else lines).items():
            if name != "www-authenticate" or status == 401:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Both(NamedTuple):
    """The ports of two nodes with one config, and the folder of nginx's."""

    native: int
    nginx: int
    folder: Path
    log: Path


def drawn_pages(draw: random.Random) -> str:
    """Pages of random statuses, some of which overlap."""
    found = []
    for index in range(draw.randint(2, 6)):
        first = draw.randint(400, 599)
        last = min(first + draw.randint(0, 40), 599)
        words = [f'"{first}-{last}"', str(draw.randint(400, 599))]
        if draw.random() < 0.3:
            words.append(draw.choice(['"4xx"', '"5xx"']))
        kind = draw.choice(["", ', content_type = "application/json"'])
        body = f"{index} ${{status}} ${{reason}}" * draw.randint(0, 300)
        found.append(f'{{ statuses = [{", ".join(words)}], body = "{body}"{kind} }}')
    return ", ".join(found)


@contextlib.contextmanager
def serving(folder: Path, pages: str) -> Iterator[Both]:
    """Both engines on one config."""
    (folder / "long.html").write_text(LONG, newline="")
    (folder / "n").mkdir()
    ports = {"native": free_port(), "nginx": free_port()}
    with dead_port() as dead, serving_http(Endpoint) as app:
        known = {"folder": folder, "pages": pages, "app": app, "dead": dead, "hash": HASH}
        native = TEXT.format(port=ports["native"], **known)
        nginx = TEXT.format(port=ports["nginx"], **known)
        with (
            RunningNode(folder / "n", native) as first,
            RunningNode(folder, nginx, "--engine", "nginx") as second,
        ):
            first.until_ready()
            second.until_ready()
            yield Both(ports["native"], ports["nginx"], folder, second.log)


def ask(port: int, path: str, method: str = "GET", body: str = "", **lines: str) -> Answer:
    """An answer without what differs by nature: the number of a request."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with contextlib.closing(link):
        named = {name.replace("_", "-"): value for name, value in lines.items()}
        link.request(method, path, body or None, named)
        told = link.getresponse()
        headers = {name.lower(): value for name, value in told.getheaders()}
        text = told.read().decode()
        before, mark, number = text.partition("</b>")
        assert not mark or number.isalnum(), text
        return Answer(told.status, headers, before + mark)


def same(both: Both, path: str, method: str = "GET", **lines: str) -> Answer:
    """The answer of both engines, which must agree in what is compared."""
    native = ask(both.native, path, method, "", **lines)
    nginx = ask(both.nginx, path, method, "", **lines)
    assert nginx.status == native.status, path
    assert nginx.body == native.body, path
    found = {name: value for name, value in nginx.headers.items() if name in KEPT}
    wanted = {name: value for name, value in native.headers.items() if name in KEPT}
    lengths = (found.pop("content-length", None), wanted.pop("content-length", None))
    assert lengths[0] is not None and lengths[1] is not None
    if "</b>" not in native.body:  # whose number has another length
        assert lengths[0] == lengths[1]
    assert found == wanted, path
    return nginx


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize("seed", range(3))
def test_both_engines_answer_alike(folder: Path, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - the same pages each time
    with serving(folder, drawn_pages(draw)) as both:
        for status in draw.sample(sorted({*range(400, 600)} - UNANSWERED), 60):
            same(both, f"/drawn/{status}", draw.choice(["GET", "GET", "HEAD", "POST"]))
            same(both, f"/two/{status}", Origin="https://a.example")
            same(both, f"/two/{status}", x_pick="me")
        for status in (200, 302):
            assert ask(both.nginx, f"/two/{status}").status == status


@pytest.mark.usefixtures("probed")
def test_nothing_is_lost_on_a_page(folder: Path) -> None:
    with serving(folder, '{ statuses = [499], body = "" }') as both:
        answer = same(both, "/two/404", Origin="https://a.example")
        assert answer.body == "<b>404|Not Found</b>"
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        assert answer.headers["strict-transport-security"] == "max-age=1"
        assert answer.headers["set-cookie"] == "a=1"
        assert not {"x-gone", "etag", "content-language"} & answer.headers.keys()
        assert "access-control-allow-origin" not in ask(both.nginx, "/two/404").headers
        assert same(both, "/two/403").body == LONG
        preflight = {"Origin": "https://b.example", "Access-Control-Request-Method": "GET"}
        refused = ask(both.nginx, "/two/1", "OPTIONS", **preflight)
        assert (refused.status, refused.body) == (403, LONG)
        assert refused == ask(both.native, "/two/1", "OPTIONS", **preflight)._replace(
            headers=refused.headers
        )
        answer = same(both, "/away")
        assert answer.body == "<b>502|Bad Gateway</b>"
        assert "connection_refused" in answer.headers["proxy-status"]
        assert answer.headers["strict-transport-security"] == "max-age=1"
        assert same(both, "/own").body == "meant so"
        # Statuses with which nginx would close the connection keep the endpoint's own text.
        for status in UNANSWERED:
            answer = ask(both.nginx, f"/two/{status}")
            assert (answer.status, answer.body) == (status, f"{status} of the endpoint")
            assert ask(both.nginx, f"/drawn/{status}").body == f"{status} of the endpoint"


@pytest.mark.usefixtures("probed")
def test_those_who_refuse_have_pages_too(folder: Path) -> None:
    with serving(folder, '{ statuses = [404], body = "" }') as both:
        answer = same(both, "/here/200")
        assert (answer.status, answer.body) == (403, LONG)
        assert answer.headers["strict-transport-security"] == "max-age=1"
        answer = same(both, "/closed/200")
        assert (answer.status, answer.body) == (401, LONG)
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
        known = {"Authorization": f"Basic {b64encode(b'alice:secret').decode()}"}
        assert ask(both.nginx, "/closed/404", **known).body in (LONG, "<b>404|Not Found</b>")
        for wish in ("401", "403"):
            answer = ask(both.nginx, "/asked/200", x_wish=wish)
            assert (answer.status, answer.body) == (int(wish), LONG)
            assert answer.headers["strict-transport-security"] == "max-age=1"
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
        for wish in ("404", "500"):
            answer = ask(both.nginx, "/asked/200", x_wish=wish)
            assert (answer.status, answer.body) == (503, "<b>503|Service Unavailable</b>")
            assert ask(both.nginx, "/few/200", x_wish=wish).body.startswith("503 Service")
        for status in (401, 403, 500, 503):
            answer = same(both, f"/asked/{status}")
            assert answer.status == status
            # Without a page of its own the endpoint's answer is its own, not the service's.
            answer = same(both, f"/few/{status}")
            assert (answer.status, answer.body) == (status, f"{status} of the endpoint")
        for path in ("/unasked/200", "/unasked/500"):
            answer = ask(both.nginx, path)
            assert (answer.status, answer.body) == (403, LONG)
        answer = same(both, "/odd/200", x_host="a b")
        assert (answer.status, answer.body) == (400, "<b>400|Bad Request</b>")
        assert same(both, "/parted/418").body == "<b>418|</b>"


@pytest.mark.usefixtures("probed")
def test_limits_have_pages_or_their_own_answer(folder: Path) -> None:
    with serving(folder, '{ statuses = [404], body = "" }') as both:
        for path, page in (("/limited", "<b>429|Too Many Requests</b>"), ("/scarce", "429 Too")):
            for port in (both.native, both.nginx):
                assert ask(port, f"{path}/429").status == 429  # of the endpoint
                answer = ask(port, f"{path}/200")
                assert (answer.status, answer.body.startswith(page)) == (429, True)
                assert int(answer.headers["retry-after"]) > 7
                assert answer.headers["strict-transport-security"] == "max-age=1"
        large, page = "x" * 2_000, "<b>413|Content Too Large</b>"
        for port in (both.native, both.nginx):
            answer = ask(port, "/small/200", "POST", large)
            assert (answer.status, answer.body) == (413, page)
            assert answer.headers["strict-transport-security"] == "max-age=1"
            assert ask(port, "/small/200", "POST", "x" * 1_024).status == 200
        # A fault of nginx while it forwards, for which there is no page, has nginx's own.
        answer = ask(both.nginx, "/bare")
        assert answer.status == 502
        native = ask(both.native, "/bare")
        for name in ("proxy-status", "strict-transport-security", "cache-control"):
            assert answer.headers[name] == native.headers[name]


@pytest.mark.usefixtures("probed")
def test_no_path_leads_to_a_page(folder: Path) -> None:
    with serving(folder, '{ statuses = ["4xx"], body = "drawn page" }') as both:
        config = "".join(
            file.read_text()
            for file in (both.folder / "s" / "nginx" / "current" / "http").iterdir()
        )
        lines = [line.strip().split() for line in config.splitlines() if "location" in line]
        names = {words[-2] for words in lines if "@hg_" in words[-2] or ":refused" in words[-2]}
        assert any("page" in name for name in names) and any("sent" in name for name in names)
        for name in names:
            for path in (name, f"/{name}", f"/own/../{name}", f"//{name}?x=/drawn/404"):
                answer = ask(both.nginx, path)
                assert answer.status in (400, 404), path
                assert "page" not in answer.body and "<b>" not in answer.body
        assert "rewrite or internal redirection cycle" not in both.log.read_text()
