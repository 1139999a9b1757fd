"""Who passes by the word of another service: nginx asks it as the native engine does."""

import contextlib
import http.client
import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest
from http_server import serving_http
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S, until

ENGINES = pytest.mark.parametrize("engine", ["native", "nginx"])
SESSION = "session=3f1c"
PLAIN = "text/plain; charset=utf-8"
TEXT = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[middlewares.members.forward_auth]
upstream = "auth"
path = "/api/verify?of=app"
method = "{method}"
copy = ["remote-user", "remote-groups"]
answer_headers = ["set-cookie"]
timeout = "1m"

[middlewares.hasty.forward_auth]
upstream = "auth"
path = "/api/hang"
timeout = "1s"

[middlewares.told.forward_auth]
upstream = "auth"
path = "/api/all"
method = "{method}"
headers = "all"

[middlewares.marked.response_headers]
set = {{ x-marked = "yes" }}

[routes.app]
match = [{{ path = {{ prefix = "/app" }} }}]
middlewares = ["marked", "members"]
limits = {{ body = "1MiB" }}
upstream = "app"

[routes.picked]
match = [{{ path = {{ prefix = "/app" }}, headers = {{ x-pick = {{ exact = "me" }} }} }}]
middlewares = ["members"]
upstream = "app"

[routes.hasty]
match = [{{ path = {{ prefix = "/hasty" }} }}]
middlewares = ["hasty"]
upstream = "app"

[routes.told]
match = [{{ path = {{ prefix = "/told" }} }}]
middlewares = ["told"]
upstream = "app"

[routes.all]
upstream = "app"

[upstreams.app]
endpoints = ["127.0.0.1:{app}"]

[upstreams.auth]
endpoints = ["127.0.0.1:{auth}"]
"""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes


class Quiet(BaseHTTPRequestHandler):
    """A server that logs nothing and keeps connections."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def say(self, status: int, lines: list[tuple[str, str]], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in lines:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Service(Quiet):
    """Lets a session pass; answers others as their `x-requested-with` asks."""

    asked: ClassVar[list[tuple[str, str, dict[str, str]]]] = []
    over = threading.Event()

    def do_GET(self) -> None:
        told = {name.lower(): value for name, value in self.headers.items()}
        self.asked.append((self.command, self.path, told))
        if self.path == "/api/hang":
            self.over.wait(DEADLINE_S)
            self.close_connection = True
        elif SESSION in told.get("cookie", ""):
            lines = [("Remote-User", "alice"), ("Set-Cookie", "seen=1; Path=/")]
            self.say(200, lines, b"welcome")
        else:
            self.deny(told)

    def do_POST(self) -> None:
        self.do_GET()

    def deny(self, told: dict[str, str]) -> None:
        wish = told.get("x-requested-with", "401")
        if wish == "hang up":
            self.close_connection = True
        elif wish.startswith("30"):
            there = [("Location", f"https://login.example/?rd={told['x-original-url']}")]
            cookies = ["back=/; Path=/; Expires=Wed, 21 Oct 2065 07:28:00 GMT", "n=2; Secure"]
            self.say(int(wish), [*there, ("Set-Cookie", ", ".join(cookies))], b"to the login")
        elif wish == "inwards":
            self.say(401, [("X-Accel-Redirect", "/")])
        elif wish == "nowhere":
            self.say(302, [])
        else:
            self.say(int(wish), [("WWW-Authenticate", 'Basic realm="members"')], b"who?")


class App(Quiet):
    """Answers with the head that came and the size of the body."""

    def do_GET(self) -> None:
        size = len(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        told = {name.lower(): value for name, value in self.headers.items()}
        told["size"] = str(size)
        status = int(told.get("x-status", "200"))
        self.say(status, [], json.dumps(told).encode())

    def do_POST(self) -> None:
        self.do_GET()


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler], port: int = 0) -> Iterator[int]:
    """The port of a server, which has ended with all its connections afterwards."""
    with serving_http(handler, port) as own:
        yield own
        Service.over.set()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Service.asked.clear()
    Service.over.clear()


def node(folder: Path, engine: str, app: int, auth: int, method: str = "GET") -> RunningNode:
    text = TEXT.format(port=free_port(), app=app, auth=auth, method=method)
    (folder / "text").write_text(text)
    return RunningNode(folder, text, "--engine", engine).until_ready()


def port_of(folder: Path) -> int:
    text = (folder / "text").read_text()
    return int(text.split('address = "127.0.0.1:')[1].split('"')[0])


def ask(folder: Path, path: str = "/app", **lines: str) -> Answer:
    link = http.client.HTTPConnection("127.0.0.1", port_of(folder), timeout=DEADLINE_S)
    with contextlib.closing(link):
        named = {name.replace("_", "-"): value for name, value in lines.items()}
        link.request("GET", path, headers=named)
        answer = link.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        cookies = answer.headers.get_all("set-cookie", [])
        return Answer(answer.status, headers, cookies, answer.read())


def refused(answer: Answer) -> tuple[int, str | None]:
    """The status, and what is said to be wrong."""
    return answer.status, answer.headers.get("proxy-status")


def fault(why: str) -> tuple[int, str]:
    return 503, f'headgate; error=destination_unavailable; details="{why}"'


AWAY = fault("the authorisation service cannot be reached")
UNUSABLE = fault("the authorisation service's answer cannot be used")
LATE = fault("the authorisation service did not answer in time")
LOOP = fault("the authorisation service asks for its own permission")


@pytest.mark.usefixtures("probed")
@ENGINES
def test_both_engines_let_pass_alike(folder: Path, engine: str) -> None:
    with serving(App) as app, serving(Service) as auth, node(folder, engine, app, auth):
        port = port_of(folder)
        spoofed = {"remote_user": "root", "remote_groups": "root", "x_headgate_auth": "bypassed"}
        lies = {"x_original_url": "http://other/", "x_forwarded_uri": "/public"}
        answer = ask(
            folder, "/app/a/../page?x=1", Cookie=SESSION, x_other="kept", **spoofed, **lies
        )
        assert (answer.status, answer.cookies) == (200, ["seen=1; Path=/"])
        assert answer.headers["x-marked"] == "yes"
        told = json.loads(answer.body)
        assert (told["remote-user"], told["x-other"]) == ("alice", "kept")
        assert not {"remote-groups", "x-headgate-auth"} & told.keys()

        (method, path, head) = Service.asked[-1]
        assert (method, path) == ("GET", "/api/verify?of=app")
        assert {name: value for name, value in head.items() if name != "connection"} == {
            "cookie": SESSION,
            "host": f"127.0.0.1:{port}",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-host": f"127.0.0.1:{port}",
            "x-forwarded-method": "GET",
            "x-forwarded-proto": "http",
            "x-forwarded-uri": "/app/page?x=1",
            "x-headgate-auth-hops": "1",
            "x-original-method": "GET",
            "x-original-url": f"http://127.0.0.1:{port}/app/page?x=1",
            "x-request-id": told["x-request-id"],
        }

        body = b"b" * 200_000
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        with contextlib.closing(link):
            link.request("POST", "/app", body, {"Cookie": SESSION})
            assert json.loads(link.getresponse().read())["size"] == "200000"
        method, _, head = Service.asked[-1]
        assert (method, head["x-original-method"]) == ("GET", "POST")
        assert not {"content-length", "transfer-encoding", "expect"} & head.keys()
        assert ask(folder, "/app", Cookie=SESSION, x_pick="me").status == 200
        assert ask(folder, "/app", x_pick="me").status == 401
        assert ask(folder, "/").status == 200
        # What the upstream itself answers is not the service's word.
        for status in ("401", "403", "500", "503"):
            answer = ask(folder, "/app", Cookie=SESSION, x_status=status)
            assert (answer.status, b"x-status" in answer.body) == (int(status), True)


@pytest.mark.usefixtures("probed")
@ENGINES
def test_all_headers_of_the_client_go_along(folder: Path, engine: str) -> None:
    its_own = {
        "accept-encoding": "identity",
        "content-type": "text/x",
        "cookie": f"{SESSION}; b=2",
        "range": "bytes=0-1",
        "x-api-key": "k",
        "x-odd": "a, b",
    }
    lies = {
        **{"Connection": "Keep-Alive", "Keep-Alive": "timeout=9", "Proxy-Connection": "close"},
        **{"TE": "gzip", "Trailer": "x", "Expect": "100-continue", "Transfer_Encoding": "x"},
        **{"X-Forwarded-Uri": "/public", "X-Forwarded-Port": "1", "Forwarded": "for=192.0.2.9"},
        **{"X-Real-IP": "192.0.2.9", "X-Original-Url": "http://other/", "X-Request-Id": "mine"},
        **{"X-Headgate-Auth-Hops": "1", "X-Headgate-Auth": "bypassed", "X_Original_Url": "u"},
    }
    with serving(App) as app, serving(Service) as auth, node(folder, engine, app, auth, "POST"):
        port = port_of(folder)
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        with contextlib.closing(link):
            link.request("POST", "/told?a=b", b"b" * 1000, {**its_own, **lies})
            assert json.loads(link.getresponse().read())["size"] == "1000"
        method, path, head = Service.asked[-1]
        assert (method, path) == ("POST", "/api/all")
        request_id = head.pop("x-request-id")
        assert request_id != "mine"
        assert {name: value for name, value in head.items() if name != "connection"} == {
            **its_own,
            "content-length": "0",
            "host": f"127.0.0.1:{port}",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-host": f"127.0.0.1:{port}",
            "x-forwarded-method": "POST",
            "x-forwarded-proto": "http",
            "x-forwarded-uri": "/told?a=b",
            "x-headgate-auth-hops": "2",
            "x-original-method": "POST",
            "x-original-url": f"http://127.0.0.1:{port}/told?a=b",
        }
        assert ask(folder, "/told", x_headgate_auth_hops="3").status == 503


@pytest.mark.usefixtures("probed")
@ENGINES
def test_both_engines_refuse_alike(folder: Path, engine: str) -> None:
    with serving(App) as app, serving(Service) as auth, node(folder, engine, app, auth) as running:
        answer = ask(folder)
        assert (answer.status, answer.headers["x-marked"]) == (401, "yes")
        assert answer.headers["www-authenticate"] == 'Basic realm="members"'
        assert ask(folder, x_requested_with="403").status == 403
        url = f"http://127.0.0.1:{port_of(folder)}/app?a=b"
        for status in (301, 302, 303, 307, 308):
            answer = ask(folder, "/app?a=b", x_requested_with=str(status))
            assert answer.status == status
            assert answer.headers["location"] == f"https://login.example/?rd={url}"
            expires = "back=/; Path=/; Expires=Wed, 21 Oct 2065 07:28:00 GMT"
            assert ", ".join(answer.cookies) == f"{expires}, n=2; Secure"
            assert len(answer.cookies) == (2 if engine == "nginx" else 1)
        assert refused(ask(folder, x_requested_with="hang up")) == AWAY
        assert ask(folder, x_requested_with="inwards").status == 401
        for hops in ("3", "x", "-1", "0, 3"):
            assert refused(ask(folder, x_headgate_auth_hops=hops)) == LOOP
        assert ask(folder, x_headgate_auth_hops="2").status == 401
        assert Service.asked[-1][2]["x-headgate-auth-hops"] == "3"
        assert refused(ask(folder, "/hasty")) == LATE
        if engine == "nginx":
            for wish in ("404", "500", "503", "504", "nowhere"):
                assert refused(ask(folder, x_requested_with=wish)) == UNUSABLE
            said = running.log.read_text()
            assert "rewrite or internal redirection cycle" not in said


@pytest.mark.usefixtures("probed")
@ENGINES
def test_nobody_passes_while_the_service_is_away(folder: Path, engine: str) -> None:
    auth = free_port()
    with serving(App) as app, node(folder, engine, app, auth, "POST"):
        answer = ask(folder, Cookie=SESSION)
        assert refused(answer) == AWAY
        assert answer.body == (
            b"503 Service Unavailable\nthe authorisation service cannot be reached\n"
        )
        assert (answer.headers["content-type"], answer.headers["x-marked"]) == (PLAIN, "yes")
        with serving(Service, auth):
            until(lambda: ask(folder, Cookie=SESSION).status == 200, "the service")
            method, _, head = Service.asked[-1]
            assert (method, head["content-length"]) == ("POST", "0")
        until(lambda: refused(ask(folder, Cookie=SESSION)) == AWAY, "the end of the service")


@pytest.mark.usefixtures("probed")
@ENGINES
def test_a_websocket_opens_for_those_who_may_pass(folder: Path, engine: str) -> None:
    lines = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": b64encode(b"0123456789abcdef").decode(),
    }
    with serving(App) as app, serving(Service) as auth, node(folder, engine, app, auth):
        assert ask(folder, **lines).status == 401
        answer = ask(folder, Cookie=SESSION, **lines)
        assert json.loads(answer.body)["upgrade"] == "websocket"
        assert "upgrade" not in Service.asked[-1][2]


@pytest.mark.usefixtures("probed")
def test_no_path_leads_to_the_locations_that_ask(folder: Path) -> None:
    with serving(App) as app, serving(Service) as auth, node(folder, "nginx", app, auth):
        config = "".join(
            file.read_text() for file in (folder / "s" / "nginx" / "current" / "http").iterdir()
        )
        names = {line.split()[2] for line in config.splitlines() if "location = auth:" in line}
        assert names
        for name in names:
            for path in (name, f"/{name}", f"//{name}", f"/app/../{name}"):
                Service.asked.clear()
                assert ask(folder, path).status in (200, 400), path
                assert Service.asked == []


@pytest.mark.usefixtures("probed")
def test_hosts_of_one_shape_ask_their_own_services(folder: Path) -> None:
    with serving(App) as app, serving(Service) as auth:
        port, nobody = free_port(), free_port()
        text = (
            f'node.admin = "off"\n[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n'
            f'[upstreams.app]\nendpoints = ["127.0.0.1:{app}"]\n'
        )
        for index in range(12):
            of, where = f"s{index}", auth if index % 2 else nobody
            text += (
                f'[upstreams.{of}]\nendpoints = ["127.0.0.1:{where}"]\n'
                f'[routes.{of}]\nhosts = ["{of}.example"]\nupstream = "app"\n'
                f'middlewares = [{{ forward_auth = {{ upstream = "{of}", path = "/of/{of}" }} }}]\n'
            )
        (folder / "text").write_text(text)
        with RunningNode(folder, text, "--engine", "nginx").until_ready():
            for index in range(12):
                host = f"s{index}.example"
                answer = ask(folder, Host=host, Cookie=SESSION)
                if index % 2:
                    assert answer.status == 200
                    told = Service.asked[-1]
                    assert (told[1], told[2]["host"]) == (f"/of/s{index}", host)
                else:
                    assert refused(answer) == AWAY
                assert ask(folder, Host=host).status == (401 if index % 2 else 503)
