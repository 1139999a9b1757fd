"""Who may pass an imported config: the same clients as in the nginx that it was written for."""

import base64
import contextlib
import gzip
import http.client
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest
from foreign_nginx import USER
from imported_beside import imported, running, served, without_kept_text
from ports import free_port
from waiting import DEADLINE_S, until

SERVERS = 6
LOCATIONS = 6
CLIENTS = [f"10.0.0.{n}" for n in (0, 1, 2, 3, 7, 8, 20, 40, 63, 64)]
CLIENTS += ["192.0.2.1", "fd00::", "fd00::1", "fd00::9", "2001:db8::1"]

HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
"""Of the password `x`."""
SHA1 = "{SHA}EfatjsUqKYSrqCHnc2Md9OZXjw0="
ARGON2 = "$argon2id$v=19$m=19456,t=2,p=1$YWFhYWFhYWFhYWFhYWFhYQ$YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
BODY = b"a text that shrinks. " * 400

HEAD = """\
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For; real_ip_recursive on;
    {inside}
}}
"""


class Answer(NamedTuple):
    """What a test compares of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_not_imported(self) -> bool:
        """Whether it is refused because its place was not imported."""
        return self.status == 503 and "not-imported" in self.headers.get("proxy-status", "")


def ask(port: int, host: str, path: str, **headers: str) -> Answer:
    """The answer to one request; `_` in a header's name is `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with contextlib.closing(connection):
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers={"Host": host, **lines})
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, names, answer.read())


def password(user: str, secret: str) -> str:
    """The value of Authorization."""
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


class Echo(BaseHTTPRequestHandler):
    """Answers with a text, and what it was told about the client."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/css" if "css" in self.path else "text/plain")
        self.send_header("x-authorization", self.headers.get("authorization", "none"))
        self.send_header("content-length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@pytest.fixture
def app() -> Iterator[str]:
    """The address of an endpoint."""
    server = _Server(("127.0.0.1", 0), Echo)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class Site(NamedTuple):
    """What is in `http`, with `PORT` and `APP` in it, and the requests that are compared."""

    inside: str
    requests: list[tuple[str, str, dict[str, str]]]

    def text(self, folder: Path, port: int, app: str) -> str:
        """The config."""
        inside = self.inside.replace("PORT", str(port)).replace("APP", app)
        return HEAD.format(folder=folder, inside=inside)


@contextlib.contextmanager
def both(folder: Path, site: Site, app: str, engine: str, *, kept: bool) -> Iterator[Counter[str]]:
    """Asks the original and the import everything: what is refused there is not answered here."""
    theirs = folder / "original"
    theirs.mkdir()
    theirs.chmod(0o755)
    for file in folder.glob("users*"):
        (theirs / file.name).write_bytes(file.read_bytes())
        (theirs / file.name).chmod(0o644)
    one, other = free_port(), free_port()
    bundle = imported(folder, site.text(folder, other, app))
    text = (bundle / "headgate.toml").read_text() if kept else without_kept_text(bundle)
    host, path, headers = site.requests[0]
    with served(theirs, site.text(theirs, one, app)), running(folder, text, engine):
        until(lambda: _answers(one, host, path), "the original answers")
        counts: Counter[str] = Counter()
        for host, path, headers in site.requests:
            there = ask(one, host, path, **headers)
            here = ask(other, host, path, **headers)
            what = (host, path, headers, there, here)
            if there.status >= 400:
                assert here.status >= 400, what
            if here.is_not_imported:
                counts["not imported"] += 1
                continue
            assert here.status == there.status, what
            if there.status == 200:
                assert _text(here) == _text(there), what
                for name in ("content-encoding", "x-authorization"):
                    assert here.headers.get(name) == there.headers.get(name), what
            counts[f"{there.status}"] += 1
        yield counts


def _answers(port: int, host: str, path: str) -> bool:
    try:
        ask(port, host, path)
    except OSError:
        return False
    return True


def _text(answer: Answer) -> bytes:
    is_encoded = answer.headers.get("content-encoding") == "gzip"
    return gzip.decompress(answer.body) if is_encoded else answer.body


def _rules(chance: random.Random, most: int) -> str:
    rules = []
    for _ in range(chance.randint(0, most)):
        network = f"10.0.0.{chance.randint(0, 63)}/{chance.randint(24, 32)}"
        if chance.random() < 0.3:
            network = f"fd00::{chance.randint(0, 15):x}/{chance.randint(122, 128)}"
        rules.append(f"{chance.choice(['allow', 'deny'])} {network};")
    if rules and chance.random() < 0.6:
        rules.append(f"{chance.choice(['allow', 'deny'])} all;")
    return " ".join(rules)


def random_rules(seed: int) -> Site:
    """Rules at every level, in any order."""
    chance = random.Random(seed)  # noqa: S311 - the same rules each time
    servers, requests = [], []
    for server in range(SERVERS):
        host = f"h{server}.example"
        locations = []
        for number in range(LOCATIONS):
            rules = _rules(chance, 5)
            locations.append(f"location /l{number}/ {{ {rules} proxy_pass http://APP; }}")
            for client in CLIENTS:
                requests.append((host, f"/l{number}/", {"X_Forwarded_For": client}))
        servers.append(
            f"server {{ listen 127.0.0.1:PORT; server_name {host}; {_rules(chance, 3)}"
            f" {' '.join(locations)} }}"
        )
    return Site(f"deny 10.0.0.9; {' '.join(servers)}", requests)


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(("engine", "kept"), [("native", False), ("nginx", False), ("nginx", True)])
def test_random_rules_let_in_the_same_clients(
    folder: Path, app: str, engine: str, kept: bool
) -> None:
    with both(folder, random_rules(5), app, engine, kept=kept) as counts:
        assert counts["not imported"] == 0
        assert min(counts["200"], counts["403"]) > 80, counts


STAFF = 'auth_basic "the staff"; auth_basic_user_file users;'
GZIP = "gzip on; gzip_types text/plain; gzip_min_length 100;"
ASKED = f"""
    {GZIP}
    server {{
        listen 127.0.0.1:PORT default_server;
        server_name a.example;
        {STAFF}
        location / {{ proxy_pass http://APP; }}
        location /off/ {{ auth_basic off; proxy_pass http://APP; }}
        location /near/ {{ deny 10.0.0.1; proxy_pass http://APP; }}
        location /sha1/ {{ auth_basic_user_file users-sha1; proxy_pass http://APP; }}
        location /argon2/ {{ auth_basic_user_file users-argon2; proxy_pass http://APP; }}
        location /odd/ {{ auth_basic_user_file users-odd; proxy_pass http://APP; }}
        location /own/ {{ auth_basic own; proxy_pass http://APP; gzip off; }}
        location /answer/ {{ return 200 open; }}
        location /closed/ {{ deny all; }}
    }}
"""
PLACES = ["off", "near", "sha1", "argon2", "odd", "own", "closed", "x", "x.css"]


def passwords(folder: Path) -> Site:
    """Files of users that both know, and such that one of them does not."""
    for name, line in (
        ("users", f"alice:{HASH}"),
        ("users-sha1", f"alice:{SHA1}"),
        ("users-argon2", f"alice:{ARGON2}"),
        ("users-odd", f"alice:{HASH} "),
    ):
        (folder / name).write_text(f"{line}\n")
        (folder / name).chmod(0o640)
        if os.geteuid() == 0:
            shutil.chown(folder / name, group=USER)
    sent = [None, password("alice", "x"), password("alice", "y"), password("bob", "x")]
    sent += ["Basic !", "Bearer x", password("alice", "")]
    requests = []
    for place in PLACES:
        for value in sent:
            lines = {} if value is None else {"Authorization": value}
            for extra in ({}, {"X_Forwarded_For": "10.0.0.1"}, {"Accept_Encoding": "gzip"}):
                requests.append(("a.example", f"/{place}/", {**lines, **extra}))
    return Site(ASKED, requests)


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize(("engine", "kept"), [("native", False), ("nginx", False), ("nginx", True)])
def test_the_same_users_pass(folder: Path, app: str, engine: str, kept: bool) -> None:
    with both(folder, passwords(folder), app, engine, kept=kept) as counts:
        refused = 0 if kept else 3 * 7 * 3
        assert counts["not imported"] == refused
        assert min(counts["200"], counts["401"], counts["403"]) > 15, counts
