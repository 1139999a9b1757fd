"""Requests that another service lets pass: a login by redirect and cookie, a WebSocket, and what
becomes of requests while the service is away, hangs, or says too much."""

import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from http_server import serving_http
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S, until

SESSION: Final = "session=3f1c"
CONFIG: Final = """
[listeners.web]
address = "127.0.0.1:{port}"
default = true
h2c = true

[middlewares.members.forward_auth]
upstream = "auth"
path = "/api/verify"
copy = ["remote-user", "remote-groups"]
answer_headers = ["set-cookie"]
timeout = "1m"

[middlewares.told.forward_auth]
upstream = "auth"
path = "/api/all"
headers = "all"
cookies = ["session"]
timeout = "1m"

[middlewares.hasty.forward_auth]
upstream = "auth"
path = "/api/hang"
timeout = "1s"

[middlewares.chatty.forward_auth]
upstream = "auth"
path = "/api/huge"
timeout = "1m"

[routes.app]
match = [{{ path = {{ prefix = "/app" }} }}]
middlewares = ["members"]
upstream = "app"

[routes.told]
match = [{{ path = {{ prefix = "/told" }} }}]
middlewares = ["told"]
upstream = "app"

[routes.hasty]
match = [{{ path = {{ prefix = "/hasty" }} }}]
middlewares = ["hasty"]
upstream = "app"

[routes.chatty]
match = [{{ path = {{ prefix = "/chatty" }} }}]
middlewares = ["chatty"]
upstream = "app"

[upstreams.app]
endpoints = ["127.0.0.1:{app}"]

[upstreams.auth]
endpoints = ["127.0.0.1:{auth}"]
"""


class Quiet(BaseHTTPRequestHandler):
    """A server that logs nothing and keeps connections."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def say(self, status: int, lines: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in lines.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Service(Quiet):
    """Knows one user, who logs in with a form, and asks others to."""

    over = threading.Event()
    hung = threading.Semaphore(0)
    told: ClassVar[list[list[tuple[str, str]]]] = []

    def do_GET(self) -> None:
        if self.path == "/api/hang":
            self.hung.release()
            self.over.wait(DEADLINE_S)
            self.close_connection = True
        elif self.path == "/api/huge":
            self.say(200, {"Remote-User": "alice"}, b"x" * 100_000)
        elif self.path == "/api/all":
            self.told.append([(name.lower(), value) for name, value in self.headers.items()])
            self.say(204, {})
        elif SESSION in self.headers.get("Cookie", ""):
            groups = {"Remote-User": "alice", "Remote-Groups": "staff"}
            self.say(200, {**groups, "Set-Cookie": "seen=1; Path=/"})
        elif self.headers.get("Accept", "").startswith("text/html"):
            back = self.headers["X-Original-URL"]
            self.say(302, {"Location": f"https://login.example/?rd={back}"}, b"to the login")
        else:
            self.say(401, {"WWW-Authenticate": 'Basic realm="members"'}, b"who?")

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if form == {"user": ["alice"], "password": ["s3cret"]}:
            self.say(303, {"Location": "/", "Set-Cookie": f"{SESSION}; HttpOnly; Path=/"})
        else:
            self.say(403, {})


class App(Quiet):
    """Answers with the head that came, and returns what comes over a WebSocket."""

    def do_GET(self) -> None:
        key = self.headers.get("Sec-WebSocket-Key")
        if key is None:
            self.say(200, {}, json.dumps([*self.headers.items()]).encode())
            return
        accept = sha1(
            f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False
        ).digest()
        self.send_response(101)
        for name, value in (
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Accept", b64encode(accept).decode()),
        ):
            self.send_header(name, value)
        self.end_headers()
        while came := self.connection.recv(1024):
            self.connection.sendall(came.upper())
        self.close_connection = True


@contextmanager
def guarded(folder: Path, app: int, auth: int) -> Iterator[tuple[RunningNode, int]]:
    port = free_port()
    text = CONFIG.format(port=port, app=app, auth=auth)
    with RunningNode(folder, text, "--no-watch") as node:
        node.until_ready()
        yield node, port


def get(port: int, path: str, **lines: str) -> tuple[int, dict[str, str], bytes]:
    link = HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    link.request("GET", path, headers={k.replace("_", "-"): v for k, v in lines.items()})
    answer = link.getresponse()
    found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    link.close()
    return found


def log_in(auth: int, user: str, secret: str) -> str:
    """The cookie that the service gives for a form."""
    link = HTTPConnection("127.0.0.1", auth, timeout=DEADLINE_S)
    link.request("POST", "/login", f"user={user}&password={secret}")
    cookie = link.getresponse().getheader("Set-Cookie", "")
    link.close()
    return cookie.split(";")[0]


def counted(node: RunningNode, middleware: str, result: str, count: int) -> None:
    """Waits until a result was counted so often."""
    line = re.compile(
        r"headgate_middleware_results_total\{"
        rf'kind="forward_auth",middleware="{middleware}",result="{result}"\}} {count}\b'
    )
    until(lambda: bool(line.search(node.admin("GET", "/metrics")[1].decode())), result)


def test_a_user_logs_in_by_redirect_and_cookie(folder: Path) -> None:
    with (
        serving_http(App) as app,
        serving_http(Service) as auth,
        guarded(folder, app, auth) as (node, port),
    ):
        status, head, body = get(port, "/app/a/../page?x=1", Accept="text/html")
        assert (status, body) == (302, b"to the login")
        back = parse_qs(urlsplit(head["location"]).query)["rd"]
        assert back == [f"http://127.0.0.1:{port}/app/page?x=1"]
        status, head, body = get(port, "/app")
        assert (status, head["www-authenticate"]) == (401, 'Basic realm="members"')
        assert body == b"who?"
        assert log_in(auth, "alice", "guess") == ""
        cookie = log_in(auth, "alice", "s3cret")
        status, head, body = get(
            port, "/app", Cookie=cookie, Remote_User="root", Remote_Groups="root", X_Other="kept"
        )
        assert (status, head["set-cookie"]) == (200, "seen=1; Path=/")
        told = {name.lower(): value for name, value in json.loads(body)}
        assert (told["remote-user"], told["remote-groups"]) == ("alice", "staff")
        assert told["x-other"] == "kept"
        counted(node, "members", "pass", 1)
        counted(node, "members", "denied", 2)
        shown = node.command("explain", f"http://127.0.0.1:{port}/app").stdout
        assert "forward_auth" in shown, shown


def test_all_headers_go_along_but_those_of_one_hop_and_other_cookies(folder: Path) -> None:
    """Lines of one name stay lines; what `Connection` names stays here."""
    with (
        serving_http(App) as app,
        serving_http(Service) as auth,
        guarded(folder, app, auth) as (_, port),
    ):
        link = HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        link.putrequest("GET", "/told", skip_accept_encoding=True)
        for name, value in (
            ("X-Api-Key", "k"),
            ("X-Many", "a"),
            ("X-Many", "b"),
            ("Cookie", f"big=1; {SESSION}"),
            ("Connection", "keep-alive, x-hop"),
            ("X-Hop", "here alone"),
            ("X-Forwarded-User", "root"),
        ):
            link.putheader(name, value)
        link.endheaders()
        assert link.getresponse().status == 200
        link.close()
        (told,) = Service.told
        ours = ("host", "x-forwarded-", "x-original-", "x-request-id", "x-headgate-auth-hops")
        assert [line for line in told if not line[0].startswith(ours)] == [
            ("x-api-key", "k"),
            ("x-many", "a"),
            ("x-many", "b"),
            ("cookie", SESSION),
        ]
        assert "x-forwarded-user" not in dict(told)


def test_a_websocket_opens_for_those_who_may_pass(folder: Path) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with (
        serving_http(App) as app,
        serving_http(Service) as auth,
        guarded(folder, app, auth) as (_, port),
    ):
        assert get(port, "/app", **upgrade)[0] == 401
        link = HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        lines = {name.replace("_", "-"): value for name, value in upgrade.items()}
        link.request("GET", "/app", headers={**lines, "Cookie": SESSION})
        stream = link.sock
        assert stream is not None
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += stream.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        stream.sendall(b"hello")
        answer = b""
        while len(answer) < 5:
            answer += stream.recv(5)
        assert answer == b"HELLO"
        link.close()


def test_nobody_passes_while_the_service_cannot_say(folder: Path) -> None:
    member = {"Cookie": SESSION}
    with serving_http(App) as app:
        auth = free_port()
        with guarded(folder, app, auth) as (node, port):
            status, _, body = get(port, "/app", **member)
            assert (status, b"cannot be reached" in body) == (503, True)
            counted(node, "members", "unavailable", 1)
            with serving_http(Service, auth):
                assert get(port, "/app", **member)[0] == 200
                status, _, body = get(port, "/chatty", **member)
                assert (status, b"is too large" in body) == (503, True)
                counted(node, "chatty", "invalid", 1)
                status, _, body = get(port, "/hasty", **member)
                assert (status, b"not answer in time" in body) == (503, True)
                counted(node, "hasty", "timeout", 1)
                # The others are not held up by it.
                assert get(port, "/app", **member)[0] == 200
                Service.over.set()
            until(lambda: get(port, "/app", **member)[0] == 503, "the end of the service")
            with serving_http(Service, auth):
                until(lambda: get(port, "/app", **member)[0] == 200, "the service")
