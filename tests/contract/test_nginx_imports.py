"""An imported nginx config as a resource: who may write it, how large it may be, and what a preview
says of each engine; both databases."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from master_world import Answer, World
from nginx_trees import tree_of_http

from headgate.certificates.authority import new_csr, new_key
from headgate.engines.nginx.imports import published
from headgate.engines.nginx.imports.bundle import to_files
from headgate.engines.nginx.imports.published import MOST_PART_BYTES, spec_of
from headgate.engines.nginx.imports.recognise import import_tree
from headgate.fleet.frames import Held, Hello, Instance
from headgate.master.fleet.book import AgentFacts
from headgate.model.text import read_document

W = "/workspaces/default"
IMPORT = f"{W}/resources/nginx_imports/site"
ACCEPTED = Path(__file__).parents[1] / "golden" / "nginx" / "accepted.txt"
ABLE = (*ACCEPTED.read_text(encoding="utf-8").split(), "endpoints=reload")
NGINX = Instance("default", "nginx", "nginx/1.22.1", (*ABLE, "mode=full", "takes-imports"))
NATIVE = Instance("default", "native", "1")
HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
USERS = f"alice:{HASH}\n"
SITE = """
server {
    listen 127.0.0.1:8080 default_server;
    location / { proxy_pass http://10.0.0.1; }
    location /closed/ { deny all; }
    location /files/ { root /srv; auth_basic there; auth_basic_user_file others; }
    location /users/ { auth_basic all; auth_basic_user_file users; proxy_pass http://10.0.0.1; }
}
"""


class Import:
    """An import: its model, and the object with its kept text."""

    def __init__(self, inside: str = SITE) -> None:
        files = to_files(import_tree(tree_of_http(inside), lambda _path: USERS.encode()))
        self.spec = spec_of(files, {"/etc/nginx/users": "users"})
        document: Any = read_document("headgate.toml", str(self.spec["objects"]).encode())
        self.model = [
            {"kind": kind, "name": name, "spec": document.entry(kind, name)}
            for kind, name, _ in document.entries()
        ]

    def changes(self, name: str = "site") -> list[dict[str, object]]:
        """All of it."""
        return [*self.model, {"kind": "nginx_imports", "name": name, "spec": self.spec}]


@pytest.fixture
def admin(world: World) -> str:
    """A master with a fleet, and the users that an import names; the administrator's token."""
    token = world.set_up()
    assert world.ask("POST", f"{W}/fleets", {"name": "edge"}, token).status == 201
    assert world.ask("PUT", f"{W}/secrets/users", {"content": USERS}, token).status == 200
    return token


def joined(world: World, admin: str, instance: Instance) -> None:
    """An agent of the fleet that says this of its engine."""
    token = world.ask("POST", f"{W}/join-tokens", {"fleet": "edge"}, admin)["token"]
    facts = AgentFacts("node-1", "1.0", {})
    made = world.master.book.enrol(token, new_csr(new_key()), facts, "192.0.2.7")
    agent = world.runner.run(made).agent
    hello = Hello(agent, 1, "1.0", (instance,), Held())
    world.runner.run(world.master.book.joined(agent, hello, "192.0.2.7"))


def put_all(world: World, token: str, one: Import) -> None:
    """Writes the whole import."""
    for change in one.changes():
        path = f"{W}/resources/{change['kind']}/{change['name']}"
        answer = world.ask("PUT", path, {"spec": change["spec"]}, token)
        assert answer.status == 200, (path, answer.text)


def preview(world: World, admin: str, changes: list[dict[str, object]]) -> Any:
    """The preview of the changes."""
    seen = world.ask("POST", f"{W}/preview", {"changes": changes}, admin)
    assert seen.status == 200, seen.text
    return seen.json


def engine(world: World, admin: str, changes: list[dict[str, object]]) -> Any:
    """What the preview says of the only engine."""
    found = preview(world, admin, changes)
    assert found["errors"] == []
    (one,) = found["fleets"][0]["engines"]
    return one


def publish(world: World, admin: str) -> Answer:
    """The answer to publishing."""
    return world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin)


def test_it_needs_a_permission_of_its_own_and_is_audited(world: World, admin: str) -> None:
    operator = world.invite(admin, "olga", "operator")
    approver = world.invite(admin, "bob", "approver")
    body = {"spec": Import().spec}
    refused = world.ask("PUT", IMPORT, body, operator)
    assert refused.status == 403
    assert "resources.verbatim" in refused.text
    assert "approver" in refused.text
    changes = [one for one in Import().changes() if one["kind"] == "nginx_imports"]
    (error, *_) = preview(world, operator, changes)["errors"]
    assert error["path"] == "nginx_imports/site.json"
    assert "resources.verbatim" in error["detail"]
    assert world.ask("PUT", IMPORT, body, approver).status == 200
    assert world.ask("DELETE", IMPORT, token=operator).status == 403
    assert world.ask("GET", IMPORT, token=operator).json["spec"] == body["spec"]
    lines = world.ask("GET", "/audit", token=admin).items
    said = [(one["actor_name"], one["action"], one["outcome"]) for one in lines]
    assert ("olga", "resources.verbatim was refused", "refused") in said
    (done,) = (one for one in lines if one["actor_name"] == "bob" and "PUT" in str(one["action"]))
    assert str(done["object"]).endswith("/resources/nginx_imports/site")


def test_a_draft_with_it_is_published_by_those_who_may_write_it(world: World, admin: str) -> None:
    operator = world.invite(admin, "olga", "operator")
    draft = {"name": "site", "changes": Import().changes()}
    assert world.ask("POST", f"{W}/drafts", draft, operator).status == 201
    body = {"fleet": "edge", "draft": "site", "is_served": False}
    assert world.ask("POST", f"{W}/revisions", body, operator).status == 403
    assert world.ask("GET", f"{W}/resources", token=admin).items == []
    refused = world.ask("POST", f"{W}/revisions", body, admin)
    assert (refused.status, refused["path"]) == (422, "$.draft_tag")
    body |= {"draft_tag": world.ask("POST", f"{W}/preview", {"draft": "site"}, admin)["draft_tag"]}
    made = world.ask("POST", f"{W}/revisions", body, admin)
    assert made.status == 201, made.text
    lines = world.ask("GET", "/audit", token=admin).items
    found = [one["object"] for one in lines if one["action"] == "resources.verbatim"]
    assert found == ["nginx_imports/site.json"]
    said = [(one["actor_name"], one["action"]) for one in lines if one["outcome"] == "refused"]
    assert said == [("olga", "resources.verbatim was refused")]


def test_its_text_is_read_apart_from_the_loop(
    world: World, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_the_loop: list[bool] = []
    checked = published.checked

    def seen(spec: object) -> published.Published:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            on_the_loop.append(False)
        else:
            on_the_loop.append(True)
        return checked(spec)

    monkeypatch.setattr(published, "checked", seen)
    changes = Import().changes()
    assert preview(world, admin, changes)["errors"] == []
    draft = {"name": "site", "changes": changes}
    assert world.ask("POST", f"{W}/drafts", draft, admin).status == 201
    assert world.ask("PUT", f"{W}/drafts/site", {"changes": changes}, admin).status == 200
    assert world.ask("PUT", IMPORT, {"spec": Import().spec}, admin).status == 200
    assert set(on_the_loop) == {False}


def test_a_template_cannot_make_one(world: World, admin: str) -> None:
    objects = [{"kind": "nginx_imports", "name": "a", "spec": {"entry": "{{ a }}"}}]
    body = {"parameters": {"a": {"type": "string"}}, "objects": objects}
    refused = world.ask("PUT", f"{W}/templates/site", body, admin)
    assert refused.status == 422
    assert "nginx_imports is text that nginx runs as it is" in refused.text


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("entry", "/etc/other.conf", "$.spec.entry"),
        ("files", {"/etc/nginx/nginx.conf": "x" * (MOST_PART_BYTES + 1)}, "$.spec.files"),
        ("secrets", {"/etc/users": "users"}, "$.spec.secrets"),
        ("objects", "[node", "$.spec.objects"),
    ],
)
def test_a_part_that_is_wrong_is_refused_by_name(
    world: World, admin: str, key: str, value: object, path: str
) -> None:
    refused = world.ask("PUT", IMPORT, {"spec": Import().spec | {key: value}}, admin)
    assert refused.status == 422
    errors: Any = refused.json["errors"]
    assert [one["path"][: len(path)] for one in errors] == [path]


def test_nginx_runs_all_of_it_and_reads_some_files_itself(world: World, admin: str) -> None:
    joined(world, admin, NGINX)
    one = Import()
    found = engine(world, admin, one.changes())
    assert (found["refuses"], found["change"], found["is_known"]) == ([], "reload", True)
    assert "each node must have these files itself: /etc/nginx/others" in found["notes"]
    put_all(world, admin, one)
    made = publish(world, admin)
    assert made.status == 201, made.text
    assert engine(world, admin, [])["change"] == "none"


def test_a_change_of_kept_text_alone_is_a_reload(world: World, admin: str) -> None:
    joined(world, admin, NGINX)
    put_all(world, admin, Import())
    assert publish(world, admin).status == 201
    other = Import(SITE.replace("root /srv;", "root /var/www;"))
    changed: Any = [one for one in other.changes() if one["kind"] == "nginx_imports"]
    found = preview(world, admin, changed)
    assert [one["path"] for one in found["objects"]] == ["nginx_imports/site.json"]
    assert found["fleets"][0]["engines"][0]["change"] == "reload"


def test_the_native_engine_says_what_it_refuses_of_it(world: World, admin: str) -> None:
    joined(world, admin, NATIVE)
    one = Import()
    count = sum("not_imported" in str(each["spec"]) for each in one.model)
    assert count
    found = engine(world, admin, one.changes())
    (note,) = found["notes"]
    assert note == (
        "nginx_imports/site.json runs on nginx alone: its kept text does nothing here, and"
        f" {count} routes answer 503 (not-imported)"
    )
    assert found["refuses"] == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("mode=guest", "takes-imports"), "a guest in another one"),
        (("mode=full", "takes-imports", "endpoints=lua"), "not in Lua"),
        (("mode=full", "takes-imports", "imported"), "an imported config of its own"),
        (("mode=full",), "takes no imports; upgrade it"),
    ],
)
def test_an_nginx_that_cannot_run_it_refuses_the_revision(
    world: World, admin: str, words: tuple[str, ...], why: str
) -> None:
    joined(world, admin, Instance("default", "nginx", "nginx/1.22.1", (*ABLE, *words)))
    one = Import()
    (refuses,) = engine(world, admin, one.changes())["refuses"]
    assert (refuses["object"], refuses["path"]) == ("nginx_imports/site.json", "$")
    assert why in refuses["detail"]
    put_all(world, admin, one)
    refused = publish(world, admin)
    assert (refused.status, refused["type"]) == (422, "urn:headgate:problem:engine-refuses")


def test_an_edit_of_the_model_that_the_text_does_not_have_is_refused_by_name(
    world: World, admin: str
) -> None:
    joined(world, admin, NGINX)
    one = Import()
    name = next(str(each["name"]) for each in one.model if each["kind"] == "upstreams")
    other = {"endpoints": ["10.0.0.2:80"]}
    edit: dict[str, object] = {"kind": "upstreams", "name": name, "spec": other}
    changes = [each for each in one.changes() if each["kind"] != "upstreams"]
    (refuses,) = engine(world, admin, [*changes, edit])["refuses"]
    assert refuses["object"] == f"upstreams/{name}.json"
    assert "is not what the import made of it" in refuses["detail"]


def test_an_object_that_is_missing_beside_the_text_is_refused_by_name(
    world: World, admin: str
) -> None:
    joined(world, admin, NGINX)
    (name, *_) = (str(each["name"]) for each in Import().model if each["kind"] == "routes")
    changes = [each for each in Import().changes() if each["name"] != name]
    (refuses,) = engine(world, admin, changes)["refuses"]
    assert refuses["object"] == f"routes/{name}.json"
    assert "is not what the import made of it" in refuses["detail"]


def test_a_fleet_has_one_import(world: World, admin: str) -> None:
    joined(world, admin, NGINX)
    one = Import()
    second: dict[str, object] = {"kind": "nginx_imports", "name": "two", "spec": one.spec}
    (error,) = preview(world, admin, [*one.changes(), second])["errors"]
    assert error["path"] == "nginx_imports/two.json"
    assert "an nginx has one imported config" in error["detail"]
    elsewhere = second | {"fleets": {"tier": "other"}}
    assert preview(world, admin, [*one.changes(), elsewhere])["errors"] == []


def test_a_secret_file_that_is_missing_is_an_error_that_names_it(world: World, admin: str) -> None:
    assert world.ask("DELETE", f"{W}/secrets/users", token=admin).status == 204
    found = json.dumps(preview(world, admin, Import().changes())["errors"])
    assert "there is no secrets/users" in found
