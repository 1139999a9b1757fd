"""A foreign nginx becomes part of a fleet: the commands publish its import, and an nginx that the
fleet drives answers the same requests the same; a native node refuses kept places."""

import base64
import contextlib
import http.client
import json
import os
import shutil
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from at_terminal import Person
from fleet_node import Node
from foreign_nginx import USER
from imported_beside import imported, served
from master_operator import Operator, W
from master_process import MasterProcess, master
from peers import peer
from ports import free_port
from running_node import Upstream
from waiting import DEADLINE_S, until

_LONG_S = 120.0
HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
"""Of the password `x`."""
SHA1 = "{SHA}EfatjsUqKYSrqCHnc2Md9OZXjw0="
"""Of the password `x`, as nginx alone knows it."""
CONFIG = """\
{user}daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream app {{ server {app}; }}
    include {folder}/sites/*.conf;
}}
"""
SITE = """\
server {{
    listen 127.0.0.1:{port} default_server;
    server_name shop.example;
    location / {{ proxy_pass http://app; }}
    location /closed/ {{ deny all; proxy_pass http://app; }}
    location /near/ {{ allow 192.0.2.0/24; deny all; proxy_pass http://app; }}
    location /staff/ {{
        auth_basic staff; auth_basic_user_file {users}; proxy_pass http://app;
    }}
    location /old/ {{
        auth_basic old; auth_basic_user_file {users}-sha1; proxy_pass http://app;
    }}
    location /files/ {{ root {files}; deny 192.0.2.0/24; location ~ \\.key$ {{ deny all; }} }}
}}
"""
PATHS = ("/", "/closed/", "/near/", "/staff/", "/old/", "/files/a.txt", "/files/a.key", "/none")
KEPT = ("/old/", "/files/a.txt", "/files/a.key")
PASSWORDS = ("", "alice:x", "alice:y")
Answers = Mapping[tuple[str, str], tuple[int, bytes]]


def ask(port: int, path: str, password: str = "") -> tuple[int, bytes, str]:
    """The answer to one request, and why it is refused, if headgate says so."""
    lines = {"Host": "shop.example"}
    if password:
        lines["Authorization"] = "Basic " + base64.b64encode(password.encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=lines)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("proxy-status", "")


def answers(port: int) -> Answers:
    """What every request gets: the status, and the body of those that pass."""
    found = {}
    for path in PATHS:
        for password in PASSWORDS:
            status, body, _ = ask(port, path, password)
            found[path, password] = (status, body if status == 200 else b"")
    return found


def is_up(port: int) -> bool:
    """Whether it answers."""
    try:
        return ask(port, "/")[0] == 200
    except OSError:
        return False


class Site:
    """The config of an nginx with its files, at a port."""

    def __init__(self, folder: Path, app: str) -> None:
        self.folder = folder / "site"
        (self.folder / "sites").mkdir(parents=True)
        (self.folder / "www/files").mkdir(parents=True)
        (self.folder / "www/files/a.txt").write_text("a file")
        (self.folder / "www/files/a.key").write_text("a key")
        folder.chmod(0o755)
        self.users = self.folder / "users"
        self.port = free_port()
        self._app = app
        for name, hashed in (("users", HASH), ("users-sha1", SHA1)):
            file = self.folder / name
            file.write_text(f"alice:{hashed}\n")
            file.chmod(0o640)
            if os.geteuid() == 0:
                shutil.chown(file, group=USER)

    def text(self) -> str:
        """Its nginx.conf; writes the server that it includes."""
        files = self.folder / "www"
        server = SITE.format(port=self.port, users=self.users, files=files)
        (self.folder / "sites/shop.conf").write_text(server)
        user = f"user {USER};\n" if os.geteuid() == 0 else ""
        return CONFIG.format(folder=self.folder, app=self._app, user=user)


class Fleet:
    """A master with a fleet, and ann, who uses its commands."""

    def __init__(self, running: MasterProcess, folder: Path) -> None:
        self.operator = Operator(running)
        self._folder = folder
        self._rest = self.operator.base.rpartition(":")[2]
        self._grpc = running.agents_port()
        ca = folder / "ca.pem"
        url = f"{self.operator.base}/api/v1/enrolment/authorities"
        with urllib.request.urlopen(url, context=self.operator.context) as answer:  # noqa: S310
            ca.write_bytes(answer.read())
        self.ann = Person(folder / "home", self.operator.base)
        self.ann.log_in(ca=ca)

    @contextlib.contextmanager
    def node(self, name: str, engine: str, own: str = "") -> Iterator[Node]:
        """A connected node of a new fleet."""
        self.operator.ask(f"{W}/fleets", {"name": name, "labels": {"site": name}})
        token = self.operator.ask(f"{W}/join-tokens", {"fleet": name})["token"]
        (self._folder / name).mkdir()
        url = f"grpcs://127.0.0.1:{self._grpc}?rest={self._rest}"
        with Node(self._folder / name, url, token, engine, own) as node:

            def is_heard() -> bool:
                agents = self.operator.ask(f"{W}/agents?fleet={name}")["items"]
                engines = [one for agent in agents for one in agent["facts"]["engines"]]
                return any(one["version"] for one in engines)

            until(is_heard, "it said what its engine can do", deadline_s=_LONG_S)
            yield node

    def until_serving(self, name: str, number: int) -> None:
        """Waits until the fleet's only agent proved to serve a revision."""

        def is_serving() -> bool:
            (agent,) = self.operator.ask(f"{W}/agents?fleet={name}")["items"]
            return bool(agent["revisions"]["serving"] == number)

        until(is_serving, "it is serving", deadline_s=_LONG_S)

    def publish(self, name: str) -> int:
        """Publishes to a fleet at once."""
        return int(self.operator.ask(f"{W}/revisions", {"fleet": name})["number"])


@contextlib.contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """A fleet for the block."""
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        yield Fleet(running, folder)


@pytest.mark.timeout(600)
def test_the_same_requests_are_answered_the_same_before_and_after(
    folder: Path, one: Upstream
) -> None:
    peer("nginx")
    site = Site(folder, one.address)
    with served(site.folder, site.text()):
        until(lambda: is_up(site.port), "the original answers")
        before = answers(site.port)
    assert {status for status, _ in before.values()} == {200, 401, 403}
    bundle = imported(site.folder, site.text())
    with fleet(folder) as edge, edge.node("edge", "nginx") as node:
        secret = str(site.users).strip("/").replace("/", "-")
        said = edge.ann.run("apply", "-f", str(bundle), code=78)
        assert f"headgate create secret {secret} --from-file {site.users}" in said
        assert edge.ann.run("get", "routes").splitlines()[1:] == []
        edge.ann.run("create", "secret", secret, "--from-file", str(site.users))
        previewed = edge.ann.run("apply", "-f", str(bundle), "--preview")
        assert "added    nginx_imports/bundle" in previewed
        assert f"each node must have these files itself: {site.users}-sha1" in previewed
        assert "added    nginx_imports/bundle" in edge.ann.run("apply", "-f", str(bundle))
        edge.until_serving("edge", edge.publish("edge"))
        until(lambda: is_up(site.port), "the fleet's nginx answers")
        assert answers(site.port) == before
        _has_the_original_words(node.state / "nginx/current/nginx.conf", site)
        again = edge.ann.run("apply", "-f", str(bundle))
        assert again == "everything is as the documents say\n"
        _an_edit_of_the_kept_text_is_served(edge, bundle, site)


def _has_the_original_words(conf: Path, site: Site) -> None:
    text = conf.read_text()
    for line in (
        "allow 192.0.2.0/24;",
        f"root {site.folder}/www;",
        f"auth_basic_user_file {site.users}-sha1;",
        "location ~ \\.key$ {",
    ):
        assert line in text
    # What the model names came with the revision, and is not read from this host.
    assert f"auth_basic_user_file {site.users};" not in text


@pytest.mark.timeout(600)
def test_an_edit_by_hand_becomes_a_draft_that_a_person_publishes(
    folder: Path, one: Upstream
) -> None:
    peer("nginx")
    site = Site(folder, one.address)
    bundle = imported(site.folder, site.text())
    with fleet(folder) as edge, edge.node("edge", "nginx") as node:
        secret = str(site.users).strip("/").replace("/", "-")
        edge.ann.run("create", "secret", secret, "--from-file", str(site.users))
        edge.ann.run("apply", "-f", str(bundle))
        edge.ann.run("drift", "policy", "edge", "adopt", "--heal-after", "1s")
        edge.until_serving("edge", edge.publish("edge"))
        until(lambda: is_up(site.port), "the fleet's nginx answers")
        before = answers(site.port)
        _edit(node.state / "nginx/current/nginx.conf")
        agent = edge.operator.ask(f"{W}/agents?fleet=edge")["items"][0]["id"]

        def proposal() -> dict[str, object]:
            found = edge.operator.ask(f"{W}/agents/{agent}/drift")["proposal"]
            return dict(found) if found else {}

        until(lambda: bool(proposal()), "a proposal", deadline_s=_LONG_S)
        assert proposal()["state"] == "open", proposal()
        assert answers(site.port) == before
        draft = proposal()["draft"]
        assert f"proposal     open, draft {draft}" in edge.ann.run("drift", "show", agent)
        said = edge.ann.run("drift", "adopt", agent)
        assert f"draft {draft}" in said
        tag = said.splitlines()[1].removeprefix("tag").strip()
        body = {"fleet": "edge", "draft": draft, "draft_tag": tag}
        edge.until_serving("edge", int(edge.operator.ask(f"{W}/revisions", body)["number"]))
        until(lambda: ask(site.port, "/more/")[:2] == (200, b"more"), "the edit serves")
        assert answers(site.port) == before

        def is_in_sync() -> bool:
            found = edge.operator.ask(f"{W}/agents/{agent}/drift")["drift"]
            return bool(found["states"] == ["in sync"])

        until(is_in_sync, "no drift is left", deadline_s=_LONG_S)


def _edit(conf: Path) -> None:
    text = conf.read_text()
    new = "location = /more/ {\n            return 200 more;\n        }\n        "
    assert text.count("location /closed/ {") == 1
    # In one step: a look at half of it would propose that.
    edited = conf.parents[3].with_suffix(".new")
    edited.write_text(text.replace("location /closed/ {", new + "location /closed/ {"))
    edited.chmod(0o640)
    edited.replace(conf)


def _an_edit_of_the_kept_text_is_served(edge: Fleet, bundle: Path, site: Site) -> None:
    (kept,) = (one for one in (bundle / "verbatim").iterdir() if one.name.endswith("shop.conf"))
    text = kept.read_text()
    assert "deny 192.0.2.0/24" in text
    kept.write_text(text.replace("deny 192.0.2.0/24", "deny 127.0.0.1"))
    assert edge.ann.run("apply", "-f", str(bundle)) == "changed  nginx_imports/bundle\n"
    edge.until_serving("edge", edge.publish("edge"))
    until(lambda: ask(site.port, "/files/a.txt")[0] == 403, "the edit serves")
    assert ask(site.port, "/")[0] == 200


@pytest.mark.timeout(600)
def test_a_native_node_refuses_kept_places_and_opens_nothing(folder: Path, one: Upstream) -> None:
    peer("nginx")
    site = Site(folder, one.address)
    with served(site.folder, site.text()):
        until(lambda: is_up(site.port), "the original answers")
        before = answers(site.port)
    bundle = imported(site.folder, site.text())
    with fleet(folder) as edge, edge.node("edge", "native"):
        secret = str(site.users).strip("/").replace("/", "-")
        edge.ann.run("create", "secret", secret, "--from-file", str(site.users))
        previewed = json.loads(edge.ann.run("apply", "-f", str(bundle), "--preview", "-o", "json"))
        assert "its kept text does nothing here" in json.dumps(previewed["fleets"])
        edge.ann.run("apply", "-f", str(bundle))
        edge.until_serving("edge", edge.publish("edge"))
        until(lambda: is_up(site.port), "the node answers")
        for (path, password), (status, body) in before.items():
            here, text, why = ask(site.port, path, password)
            if path in KEPT:
                assert (here, "not-imported" in why) == (503, True), path
            elif status == 200:
                assert (here, text) == (200, body), path
            else:
                assert here == status, path


@pytest.mark.timeout(600)
def test_what_cannot_be_published_is_named_and_nothing_changes(folder: Path, one: Upstream) -> None:
    peer("nginx")
    site = Site(folder, one.address)
    bundle = imported(site.folder, site.text())
    model = bundle / "headgate.toml"
    text = model.read_text()
    with (
        fleet(folder) as edge,
        edge.node("edge", "nginx", '\n[node.nginx]\nendpoints = "reload"\n'),
    ):
        secret = str(site.users).strip("/").replace("/", "-")
        edge.ann.run("create", "secret", secret, "--from-file", str(site.users))
        model.write_text(text.replace("[node.nginx]", '[node.nginx]\nmode = "full"'))
        said = edge.ann.run("apply", "-f", str(bundle), code=78)
        assert "`node.nginx.mode` cannot be published" in said
        model.write_text(text)
        (kept,) = (bundle / "verbatim").glob("*-shop.conf")
        before = kept.read_bytes()
        kept.write_bytes(before + b"# caf\xe9\n")
        said = edge.ann.run("apply", "-f", str(bundle), code=78)
        assert "sites/shop.conf cannot be published" in said
        assert "is not UTF-8" in said
        kept.write_bytes(before)
        assert edge.ann.run("get", "routes").splitlines()[1:] == []
        edge.ann.run("apply", "-f", str(bundle))
        edge.until_serving("edge", edge.publish("edge"))
        (listener,) = tomllib.loads(text)["listeners"]
        _a_route_beside_the_import_is_refused(edge, listener, folder / "more.toml")


def _a_route_beside_the_import_is_refused(edge: Fleet, listener: str, file: Path) -> None:
    lines = f'hosts = ["more.example"]\nlisteners = ["{listener}"]\nrespond = {{ status = 200 }}\n'
    file.write_text(f"[routes.more]\n{lines}")
    previewed = edge.ann.run("apply", "-f", str(file), "--preview")
    assert "is not what the import made of it" in previewed
    edge.ann.run("apply", "-f", str(file))
    said = edge.ann.run("publish", "edge", code=1)
    assert "an engine of the fleet would refuse the whole revision" in said
