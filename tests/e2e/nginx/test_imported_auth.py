"""Who passes by the word of a service, in an imported config: the same as in its own nginx."""

import contextlib
import http.client
import random
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import pytest
from http_server import serving_http
from imported_beside import imported, running, served, without_kept_text
from ports import free_port
from waiting import DEADLINE_S, until

CONFIG = """\
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream service {{ server 127.0.0.1:{auth}; }}
    server {{
        listen 127.0.0.1:{port} default_server;
        auth_request /_auth;
        auth_request_set $user $upstream_http_remote_user;
        proxy_set_header Remote-User $user;
        location = /_auth {{
            internal;
            proxy_pass http://service/verify?of=app;
            proxy_pass_request_body off;
            proxy_pass_request_headers off;
            proxy_set_header Host $http_host;
            proxy_set_header Content-Length "";
            proxy_set_header Cookie $http_cookie;
            proxy_set_header X-Token $http_x_token;
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
            proxy_read_timeout 20s;
        }}
        location = /_away {{
            proxy_pass http://127.0.0.1:{nobody};
            proxy_pass_request_body off;
            proxy_pass_request_headers off;
            proxy_set_header Host $http_host;
            proxy_set_header Content-Length "";
        }}
        location = /_all {{
            internal;
            proxy_pass http://service/verify?of=app;
            proxy_pass_request_body off;
            proxy_set_header Host $http_host;
            proxy_set_header Content-Length "";
        }}
        location = /_every {{
            internal;
            proxy_pass http://service/verify?of=app;
            proxy_pass_request_body off;
            proxy_set_header Host $http_host;
            proxy_set_header Content-Length "";
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Method $request_method;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Uri $request_uri;
            proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Original-URL $scheme://$http_host$request_uri;
            proxy_set_header X-Real-IP "";
            proxy_set_header Forwarded "";
        }}
        location / {{ proxy_pass http://127.0.0.1:{app}; }}
        location /far/ {{ allow 192.0.2.1; deny all; proxy_pass http://127.0.0.1:{app}; }}
        location /open/ {{ auth_request off; proxy_pass http://127.0.0.1:{app}; }}
        location /text/ {{ return 200 login; }}
        location /away/ {{ auth_request /_away; proxy_pass http://127.0.0.1:{app}; }}
        location /nowhere/ {{ auth_request /_nowhere; proxy_pass http://127.0.0.1:{app}; }}
        location /all/ {{ auth_request /_all; proxy_pass http://127.0.0.1:{app}; }}
        location /every/ {{ auth_request /_every; proxy_pass http://127.0.0.1:{app}; }}
        location /login/ {{ error_page 401 = /text/; proxy_pass http://127.0.0.1:{app}; }}
    }}
}}
"""
PLACES = ["a", "far", "open", "away", "nowhere", "all", "every", "login", "_auth", "_all"]
KEPT = {"nowhere", "all", "login"}
TEXT = b"a text of some length"


class Quiet(BaseHTTPRequestHandler):
    """A server that logs nothing and keeps connections."""

    protocol_version = "HTTP/1.1"

    def say(self, status: int, lines: list[tuple[str, str]], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in lines:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Service(Quiet):
    """Answers with the status that the cookie names, unless a token or the place says no."""

    def do_GET(self) -> None:
        told = {name.lower(): value for name, value in self.headers.items()}
        status = int(told.get("cookie", "s=401").rpartition("=")[2])
        is_asked_right = self.path == "/verify?of=app" and "content-length" not in told
        if not is_asked_right or told.get("x-token") == "no" or "origin" in told:
            status = 403
        if "/a/no" in told.get("x-original-url", "/a/no"):
            status = 403
        self.say(status, [("Remote-User", "alice"), ("Location", "http://login.example/")])


class App(Quiet):
    """Answers with who it is told that asks, and the length of what was sent."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        user = self.headers.get_all("remote-user") or ["nobody"]
        self.say(200, [("X-User", ",".join(user)), ("X-Length", str(len(body)))], TEXT)

    def do_POST(self) -> None:
        self.do_GET()


@pytest.fixture
def app() -> Iterator[int]:
    """The port of the endpoint."""
    with serving_http(App) as port:
        yield port


@pytest.fixture
def auth() -> Iterator[int]:
    """The port of the service."""
    with serving_http(Service) as port:
        yield port


class Answer(NamedTuple):
    """What is compared."""

    status: int
    said: tuple[str | None, ...]
    reason: str


def ask(port: int, method: str, path: str, headers: dict[str, str]) -> Answer:
    """The answer to one request; POST has a body."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with contextlib.closing(link):
        body = TEXT if method == "POST" else None
        link.request(method, path, body, {"Host": "a.example", **headers})
        answer = link.getresponse()
        text = answer.read().decode()
        said = (text, answer.getheader("x-user"), answer.getheader("x-length"))
        return Answer(answer.status, said, answer.getheader("proxy-status", ""))


def requests(seed: int) -> list[tuple[str, str, dict[str, str]]]:
    """Requests to every place, with and without what lets pass."""
    chance = random.Random(seed)  # noqa: S311 - the same requests each time
    found = []
    for place in [*PLACES, *["a"] * 6] * 12:
        headers = {}
        if chance.random() < 0.7:
            status = chance.choice([200, 200, 204, 299, 401, 403, 302, 404, 500])
            headers["Cookie"] = f"s={status}"
        for name, value in (("X-Token", "no"), ("Origin", "x"), ("Remote-User", "root")):
            if chance.random() < 0.1:
                headers[name] = value
        path = (
            f"/{place}" if place.startswith("_") else f"/{place}/{chance.choice(['x', 'x', 'no'])}"
        )
        # A service that is told the length of a body without getting it waits for it.
        method = "GET" if place in KEPT else chance.choice(["GET", "POST"])
        found.append((method, path, headers))
    return found


def is_up(port: int) -> bool:
    """Whether somebody answers."""
    with contextlib.suppress(OSError):
        return ask(port, "GET", "/open/", {}).status == 200
    return False


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(("engine", "kept"), [("native", False), ("nginx", False), ("nginx", True)])
def test_the_same_requests_pass(folder: Path, app: int, auth: int, engine: str, kept: bool) -> None:
    theirs = folder / "original"
    theirs.mkdir()
    theirs.chmod(0o755)
    there, here, nobody = free_port(), free_port(), free_port()
    places = {"app": app, "auth": auth, "nobody": nobody}
    bundle = imported(folder, CONFIG.format(folder=folder, port=here, **places))
    text = (bundle / "headgate.toml").read_text() if kept else without_kept_text(bundle)
    assert "the service gets every header of the client there" in text
    original = CONFIG.format(folder=theirs, port=there, **places)
    counts: Counter[int] = Counter()
    with served(theirs, original), running(folder, text, engine):
        until(lambda: is_up(there), "the original answers")
        for method, path, headers in requests(3):
            old = ask(there, method, path, headers)
            new = ask(here, method, path, headers)
            what = (method, path, headers, old, new)
            if not kept and path.split("/")[1] in KEPT:
                assert new.status == 503, what
                assert "not-imported" in new.reason, what
            elif old.status == 500:
                # Redirects of the service go to the client, as do its errors: none has the app's.
                assert new.status != 200, what
                assert new.said[0] != TEXT.decode(), what
            else:
                assert new.status == old.status, what
            if new.status == 200:
                assert new.said == old.said, what
            counts[old.status] += 1
    assert min(counts[200], counts[401], counts[403], counts[500]) >= 10, counts
