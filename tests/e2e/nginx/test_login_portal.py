"""A login portal in front of an application, and a WebSocket through it, on both engines: who came
back from the login with a cookie may open one, and nobody before it or after the logout."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from http_server import serving_http
from login_portal import COOKIE, DOMAIN, WORD, Portal
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

ENGINES = pytest.mark.parametrize("engine", ["native", "nginx"])
APP, LOGIN = f"app.{DOMAIN}", f"login.{DOMAIN}"
TEXT = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[middlewares.members.forward_auth]
upstream = "portal"
path = "/api/authz/forward-auth"
copy = ["remote-user", "remote-groups"]
timeout = "1m"

[routes.login]
hosts = ["login.shop.test"]
upstream = "portal"

[routes.app]
hosts = ["app.shop.test"]
middlewares = ["members"]
upstream = "app"

[routes.live]
hosts = ["app.shop.test"]
match = [{{ path = {{ prefix = "/live" }} }}]
middlewares = ["members"]
upstream = "live"

[upstreams.portal]
endpoints = ["127.0.0.1:{portal}"]

[upstreams.app]
endpoints = ["127.0.0.1:{app}"]

[upstreams.live]
endpoints = ["127.0.0.1:{live}"]
"""
LIES = {"Remote-User": "root", "Remote-Groups": "admins"}


class App(BaseHTTPRequestHandler):
    """Answers with the head that came."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        told = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps(told | {"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def live(stream: ServerConnection) -> None:
    """Says who it was told is there, then returns what comes."""
    assert stream.request is not None
    headers = stream.request.headers
    stream.send(f"{headers.get('Remote-User')} {headers.get('Remote-Groups')}")
    for message in stream:
        stream.send(message)


class Answer(NamedTuple):
    """The last answer of a chain of redirects, and where it was."""

    status: int
    url: str
    body: bytes


class Browser:
    """Follows redirects and keeps the cookies of the domain; all its hosts are one port here."""

    def __init__(self, port: int) -> None:
        self.cookies: dict[str, str] = {}
        self.port = port

    def get(self, url: str) -> Answer:
        """Opens a page as a person does."""
        return self._follow("GET", url, None)

    def log_in(self, page: Answer, user: str, password: str) -> Answer:
        """Fills in the form of the portal on which the browser is."""
        back = parse_qs(urlsplit(page.url).query)["rd"][0]
        form = urlencode({"user": user, "password": password, "rd": back})
        return self._follow("POST", page.url, form)

    def websocket(self, **more: str) -> ClientConnection:
        """Opens a WebSocket of the application."""
        lines = {name.replace("_", "-"): value for name, value in more.items()}
        stream = socket.create_connection(("127.0.0.1", self.port), DEADLINE_S)
        try:
            return connect(
                f"ws://{APP}:{self.port}/live?of=orders",
                sock=stream,
                additional_headers=self._cookie() | lines,
                open_timeout=DEADLINE_S,
            )
        except InvalidStatus:
            stream.close()
            raise

    def _cookie(self) -> dict[str, str]:
        line = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": line} if line else {}

    def _follow(self, method: str, url: str, form: str | None) -> Answer:
        for _ in range(5):
            place = urlsplit(url)
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
            with contextlib.closing(link):
                lines = {"Host": place.netloc, "Accept": "text/html", **LIES, **self._cookie()}
                link.request(method, f"{place.path}?{place.query}", form, lines)
                answer = link.getresponse()
                self._keep(answer.headers.get_all("Set-Cookie", []))
                body, where = answer.read(), answer.getheader("Location")
            if where is None:
                return Answer(answer.status, url, body)
            assert answer.status in (302, 303)
            method, form = "GET", None
            url = where if "://" in where else f"{place.scheme}://{place.netloc}{where}"
        raise AssertionError(f"redirects without end: {url}")

    def _keep(self, lines: list[str]) -> None:
        for line in lines:
            for name, cookie in SimpleCookie(line).items():
                assert cookie["domain"] == DOMAIN
                self.cookies[name] = cookie.value
                if cookie["max-age"] == "0":
                    del self.cookies[name]


@contextlib.contextmanager
def site(folder: Path, engine: str) -> Iterator[int]:
    """The port of a node with the portal, the application and its WebSockets behind it."""
    Portal.users.clear()
    port = free_port()
    with (
        serving_http(App) as app,
        serving_http(Portal) as portal,
        serve(live, "127.0.0.1", 0, open_timeout=DEADLINE_S) as server,
    ):
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        streams = server.socket.getsockname()[1]
        text = TEXT.format(port=port, app=app, portal=portal, live=streams)
        try:
            with RunningNode(folder, text, "--engine", engine).until_ready():
                yield port
        finally:
            server.shutdown()
            thread.join()


def refused(browser: Browser, **more: str) -> int:
    """The status with which a WebSocket was refused."""
    with pytest.raises(InvalidStatus) as caught:
        browser.websocket(**more)
    return caught.value.response.status_code


def who(browser: Browser, **more: str) -> str | bytes:
    """Whom the application sees at the other end of a WebSocket that opens, and that works."""
    with browser.websocket(**more) as stream:
        user = stream.recv(DEADLINE_S)
        for text in ("one", "x" * 100_000):
            stream.send(text)
            assert stream.recv(DEADLINE_S) == text
        return user


@pytest.mark.usefixtures("probed")
@ENGINES
def test_a_websocket_opens_between_the_login_and_the_logout(folder: Path, engine: str) -> None:
    with site(folder, engine) as port:
        browser, page = Browser(port), f"http://{APP}:{port}/orders?of=may&n=1"
        assert refused(browser) == 401

        form = browser.get(page)
        assert form.url.startswith(f"http://{LOGIN}:{port}/?")
        assert parse_qs(urlsplit(form.url).query) == {"rd": [page], "rm": ["GET"]}
        assert browser.log_in(form, "alice", "guess").status == 401
        assert refused(browser) == 401

        there = browser.log_in(form, "alice", WORD)
        told = json.loads(there.body)
        assert (there.status, there.url, told["path"]) == (200, page, "/orders?of=may&n=1")
        assert (told["remote-user"], told["remote-groups"]) == ("alice", "staff,admins")
        assert who(browser, Remote_User="root", Remote_Groups="root") == "alice staff,admins"

        other = Browser(port)
        other.log_in(other.get(page), "bob", WORD)
        assert who(other) == "bob staff"

        with browser.websocket() as stream:
            assert stream.recv(DEADLINE_S) == "alice staff,admins"
            kept = dict(browser.cookies)
            assert browser.get(f"http://{LOGIN}:{port}/logout").status == 200
            assert browser.cookies == {}
            # A stream that is open stays open: the service was asked once, at its beginning.
            stream.send("still here")
            assert stream.recv(DEADLINE_S) == "still here"
        assert refused(browser) == 401
        browser.cookies = kept
        assert refused(browser) == 401, "the session is over at the portal, too"
        assert browser.get(page).url.startswith(f"http://{LOGIN}:{port}/?")
        assert who(other) == "bob staff"


@pytest.mark.usefixtures("probed")
@ENGINES
def test_no_cookie_that_the_portal_did_not_give_lets_in(folder: Path, engine: str) -> None:
    with site(folder, engine) as port:
        browser, page = Browser(port), f"http://{APP}:{port}/"
        browser.log_in(browser.get(page), "alice", WORD)
        session = browser.cookies[COOKIE]
        for forged in (session[:-1], f"{session}x", session.swapcase(), "alice", ""):
            browser.cookies[COOKIE] = forged
            assert refused(browser) == 401, forged
            assert refused(browser, X_Headgate_Auth="bypassed") == 401, forged
        browser.cookies[COOKIE] = session
        assert who(browser) == "alice staff,admins"

        form = Browser(port).get(page)
        away = form._replace(url=form.url.replace(APP, "evil.test"))
        assert Browser(port).log_in(away, "alice", WORD).status == 400
