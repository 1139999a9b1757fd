"""A small login portal as Authelia is one, for tests: a page with a form, a session in a cookie,
the way back by `rd`, an answer for proxies that ask, and a way out."""

import html
import secrets
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler
from typing import ClassVar, Final
from urllib.parse import parse_qs, urlencode, urlsplit

DOMAIN: Final = "shop.test"
COOKIE: Final = "portal_session"
GROUPS: Final = {"alice": "staff,admins", "bob": "staff"}
WORD: Final = "s3cret"


class Portal(BaseHTTPRequestHandler):
    """Answers a proxy at `/api/authz/forward-auth`, and people at `/` and `/logout`."""

    protocol_version = "HTTP/1.1"
    users: ClassVar[dict[str, str]] = {}
    """Who is logged in, by session."""

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        """The page, the way out, and what proxies ask."""
        path, _, query = self.path.partition("?")
        if path == "/api/authz/forward-auth":
            self._authorise()
        elif path == "/logout":
            self.users.pop(self._session(), None)
            cookie = f"{COOKIE}=; Domain={DOMAIN}; Path=/; Max-Age=0; HttpOnly"
            self._say(302, {"Location": "/", "Set-Cookie": cookie})
        elif path == "/":
            back = html.escape(parse_qs(query).get("rd", [""])[0])
            form = f'<form method="post"><input name="rd" value="{back}"></form>'
            self._say(200, {"Content-Type": "text/html"}, form)
        else:
            self._say(404, {})

    def do_POST(self) -> None:
        """Logs in who has the password, and sends them where they came from, or nowhere else."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        user, back = form["user"][0], form["rd"][0]
        if user not in GROUPS or form["password"] != [WORD]:
            self._say(401, {"Content-Type": "text/html"}, "wrong name or password")
            return
        host = urlsplit(back).hostname or ""
        if not host.endswith(f".{DOMAIN}"):
            self._say(400, {}, "not a place to go back to")
            return
        session = secrets.token_urlsafe(24)
        self.users[session] = user
        cookie = f"{COOKIE}={session}; Domain={DOMAIN}; Path=/; HttpOnly; SameSite=Lax"
        self._say(303, {"Location": back, "Set-Cookie": cookie})

    def _authorise(self) -> None:
        user = self.users.get(self._session())
        if user is not None:
            self._say(200, {"Remote-User": user, "Remote-Groups": GROUPS[user]})
        elif "text/html" in self.headers.get("Accept", ""):
            there = urlsplit(self.headers["X-Original-URL"])
            query = urlencode({"rd": there.geturl(), "rm": self.headers["X-Original-Method"]})
            portal = f"login.{DOMAIN}:{there.port}"
            self._say(302, {"Location": f"{there.scheme}://{portal}/?{query}"})
        else:
            self._say(401, {}, "log in first")

    def _session(self) -> str:
        found = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        return found.value if found is not None else ""

    def _say(self, status: int, lines: dict[str, str], text: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in lines.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
