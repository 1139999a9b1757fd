"""Who may pass by a password: the same answers from both engines."""

import contextlib
import http.client
import json
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import pytest
from http_server import serving_http
from peers import ROOT_ONLY
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S, until

HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
"""Of the password `x`."""

TEXT = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[middlewares.staff.basic_auth]
users = {{ file = "users" }}
realm = 'the "staff"'
user_header = "x-user"

[middlewares.marked.response_headers]
set = {{ x-marked = "yes" }}

[routes.staff]
match = [{{ path = {{ prefix = "/staff" }} }}]
middlewares = ["marked", "staff"]
upstream = "app"

[routes.kept]
match = [{{ path = {{ prefix = "/kept" }} }}]
middlewares = [{{ basic_auth = {{ users = ["bob:{hash}"], keep = true, remember = "off" }} }}]
upstream = "app"

[routes.all]
upstream = "app"

[upstreams.app]
endpoints = ["{app}"]
"""


class Answer(NamedTuple):
    """What both engines say."""

    status: int
    body: str
    challenge: str | None
    marked: str | None
    content_type: str | None


class Echo(BaseHTTPRequestHandler):
    """Says what it was told about the user."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        told = [self.headers.get(name) for name in ("x-user", "authorization")]
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def app() -> Iterator[str]:
    with serving_http(Echo) as port:
        yield f"127.0.0.1:{port}"


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def ask(port: int, path: str, authorization: str | None = None, user: str = "") -> Answer:
    """The answer to a client that may pretend to be a user."""
    headers = {"authorization": authorization} if authorization is not None else {}
    headers |= {"x-user": user} if user else {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        get = answer.headers.get
        challenge, marked = get("www-authenticate"), get("x-marked")
        return Answer(answer.status, body, challenge, marked, get("content-type"))


CHALLENGE = r'Basic realm="the \"staff\"", charset="UTF-8"'
PLAIN = "text/plain; charset=utf-8"
MISSING = "401 Unauthorized\na name and a password are needed here\n"
WRONG = "401 Unauthorized\nthe name or the password is wrong\n"
JSON = "application/json"


def refused(body: str) -> Answer:
    return Answer(401, body, CHALLENGE, "yes", PLAIN)


def passed(*told: str | None) -> Answer:
    return Answer(200, json.dumps(list(told)), None, "yes", JSON)


@pytest.mark.usefixtures("probed")
@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_both_engines_answer_alike(folder: Path, app: str, engine: str) -> None:
    users = folder / "users"
    lines = [
        f"{name}:{HASH.replace('$2b$', kind)}"
        for name, kind in (
            ("alice", "$2b$"),
            ("yves", "$2y$"),
            ("älice", "$2a$"),
            ("bob smith", "$2b$"),
        )
    ]
    users.write_text("# the staff\n" + "\n".join(lines) + "\n")
    users.chmod(0o600)
    port = free_port()
    text = TEXT.format(port=port, app=app, hash=HASH)
    with RunningNode(folder, text, "--engine", engine).until_ready() as node:
        assert ask(port, "/staff") == refused(MISSING)
        assert ask(port, "/staff", "Bearer x") == refused(MISSING)
        assert ask(port, "/staff", "Basic !") == refused(MISSING)
        assert ask(port, "/staff", basic("alice", "y")) == refused(WRONG)
        assert ask(port, "/staff", basic("alice", "")) == refused(WRONG)
        assert ask(port, "/staff", basic("bob", "x")) == refused(WRONG)
        assert ask(port, "/staff", basic("# the staff", "x")) == refused(WRONG)
        for name in ("alice", "yves", "bob smith"):
            assert ask(port, "/staff/a", basic(name, "x"), "root") == passed(name, None)
        assert ask(port, "/staff/a", basic("älice", "x")).status == 200

        kept = basic("bob", "x")
        told = Answer(200, json.dumps([None, kept]), None, None, JSON)
        assert ask(port, "/kept", kept) == told
        assert ask(port, "/kept").challenge == 'Basic realm="headgate", charset="UTF-8"'
        assert ask(port, "/kept", basic("alice", "x")).status == 401
        free = Answer(200, json.dumps(["root", kept]), None, None, JSON)
        assert ask(port, "/", kept, "root") == free

        users.write_text(lines[1] + "\n")
        done = node.command("reload")
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: ask(port, "/staff", basic("alice", "x")).status == 401, "alice is gone")
        assert ask(port, "/staff", basic("yves", "x")) == passed("yves", None)

        said = node.log.read_text() + node.admin("GET", "/config")[1].decode()
        assert HASH[-20:] not in said
        if engine == "nginx":
            files = list((node.state / "nginx").glob("current/users/*"))
            assert len(files) == 2
            assert all(file.stat().st_mode & 0o777 == 0o440 for file in files), files


@pytest.mark.usefixtures("probed")
def test_argon2_is_refused_by_name_on_nginx(folder: Path, app: str) -> None:
    text = TEXT.format(port=free_port(), app=app, hash=HASH)
    users = folder / "users"
    users.write_text(
        "alice:$argon2id$v=19$m=19456,t=2,p=1$YWFhYWFhYWFhYWFhYWFhYQ$"
        "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE\n"
    )
    users.chmod(0o600)
    with RunningNode(folder, text, "--engine", "nginx") as node:
        assert node.process.wait(DEADLINE_S) == 78
        said = node.log.read_text()
        assert 'nginx has no argon2; give "alice" a bcrypt hash (`headgate hash-password' in said
        assert "YWFh" not in said


@ROOT_ONLY
@pytest.mark.usefixtures("probed")
def test_workers_read_users_in_a_state_directory_that_is_closed(folder: Path, app: str) -> None:
    users = folder / "users"
    users.write_text(f"alice:{HASH}\n")
    users.chmod(0o600)
    (folder / "s").chmod(0o700)
    port = free_port()
    text = TEXT.format(port=port, app=app, hash=HASH)
    with RunningNode(folder, text, "--engine", "nginx").until_ready():
        assert ask(port, "/staff", basic("alice", "x")).status == 200
        # For the workers' group alone, and to pass through alone.
        assert (folder / "s").stat().st_mode & 0o777 == 0o710


@ROOT_ONLY
@pytest.mark.usefixtures("probed")
def test_a_folder_that_workers_cannot_pass_is_named(folder: Path, app: str) -> None:
    users = folder / "users"
    users.write_text(f"alice:{HASH}\n")
    users.chmod(0o600)
    folder.chmod(0o700)
    text = TEXT.format(port=free_port(), app=app, hash=HASH)
    with RunningNode(folder, text, "--engine", "nginx") as node:
        assert node.process.wait(DEADLINE_S) == 78
        said = node.log.read_text()
        assert f'cannot pass through "{folder}"' in said
        assert f"chmod o+x {folder}" in said
