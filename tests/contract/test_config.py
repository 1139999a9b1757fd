"""A config's life before it is published: resources, secrets, drafts, previews; both databases."""

import json

from master_world import LISTENER, ROUTE, UPSTREAM, Answer, World

W = "/workspaces/default"


def put(world: World, token: str, path: str, spec: object, **headers: str) -> Answer:
    return world.ask("PUT", f"{W}/resources/{path}", {"spec": spec}, token, **headers)


def put_all(world: World, token: str) -> None:
    for path, spec in (
        ("listeners/web", LISTENER),
        ("routes/api", ROUTE),
        ("upstreams/api", UPSTREAM),
    ):
        answer = put(world, token, path, spec)
        assert answer.status == 200, answer.text


def change(kind: str, name: str, spec: object) -> dict[str, object]:
    return {"kind": kind, "name": name, "spec": spec}


def test_a_resource_is_written_read_and_removed(world: World) -> None:
    admin = world.set_up()
    put_all(world, admin)
    shown = world.ask("GET", f"{W}/resources/routes/api", token=admin)
    assert (shown.json["spec"], shown["path"]) == (ROUTE, "routes/api.json")
    listed = world.ask("GET", f"{W}/resources", token=admin).items
    assert [one["path"] for one in listed] == [
        "listeners/web.json",
        "routes/api.json",
        "upstreams/api.json",
    ]
    assert len(world.ask("GET", f"{W}/resources?kind=routes", token=admin).items) == 1
    assert world.ask("DELETE", f"{W}/resources/routes/api", token=admin).status == 204
    assert world.ask("GET", f"{W}/resources/routes/api", token=admin).status == 404
    assert world.ask("DELETE", f"{W}/resources/routes/api", token=admin).status == 404


def test_an_equal_resource_stays_as_it_is(world: World) -> None:
    admin = world.set_up()
    first = put(world, admin, "routes/api", ROUTE)
    again = put(world, admin, "routes/api", dict(reversed(ROUTE.items())))
    assert (again.json, again.headers["etag"]) == (first.json, first.headers["etag"])


def test_a_stale_resource_is_not_overwritten(world: World) -> None:
    admin = world.set_up()
    put(world, admin, "routes/api", ROUTE)
    newer = put(world, admin, "routes/api", ROUTE | {"hosts": ["b.example"]}, if_match='"1"')
    assert newer["version"] == "2"
    late = put(world, admin, "routes/api", ROUTE | {"hosts": ["c.example"]}, if_match='"1"')
    assert (late.status, late.json["current"]) == (412, newer.json)
    assert put(world, admin, "routes/api", ROUTE, if_none_match="*").status == 409
    assert put(world, admin, "routes/new", ROUTE, if_match='"1"').status == 412
    gone = world.ask("DELETE", f"{W}/resources/routes/api", token=admin, if_match='"1"')
    assert gone.status == 412


def test_a_bad_object_is_refused_with_its_json_path(world: World) -> None:
    admin = world.set_up()
    wrong = put(world, admin, "routes/api", {"hosts": ["a b"], "upstraem": "api"})
    assert wrong.status == 422
    errors = wrong.json["errors"]
    assert isinstance(errors, list)
    found = {one["path"]: one for one in errors}
    assert found["$.spec.upstraem"]["allowed"] == 'write "upstream"'
    assert "$.spec.hosts[0]" in found
    assert put(world, admin, "cats/api", {}).status == 422
    assert put(world, admin, "routes/a b", ROUTE).json["path"] == "name"
    assert put(world, admin, "routes/api", {"hosts": None}).status == 422
    assert world.ask("GET", f"{W}/resources", token=admin).items == []


def test_a_secret_is_never_shown_again(world: World) -> None:
    admin = world.set_up()
    made = world.ask("PUT", f"{W}/secrets/web.key", {"content": "very secret"}, admin)
    assert (made.status, made["size"]) == (200, "11")
    texts = [
        made.text,
        world.ask("GET", f"{W}/secrets/web.key", token=admin).text,
        world.ask("GET", f"{W}/secrets", token=admin).text,
        world.ask("GET", "/audit", token=admin).text,
    ]
    assert not any("very secret" in text for text in texts)
    if not world.url:
        raw = b"".join(one.read_bytes() for one in world.directory.glob("master.db*"))
        assert b"very secret" not in raw
    assert world.ask("PUT", f"{W}/secrets/.a", {"content": "x"}, admin).status == 422
    assert world.ask("DELETE", f"{W}/secrets/web.key", token=admin).status == 204
    assert world.ask("GET", f"{W}/secrets/web.key", token=admin).status == 404


def test_a_preview_says_what_changes_and_what_is_wrong(world: World) -> None:
    admin = world.set_up()
    put_all(world, admin)
    changes = [
        change("routes", "api", ROUTE | {"upstream": "nowhere"}),
        change("upstreams", "api", None),
        change("upstreams", "new", UPSTREAM),
    ]
    seen = world.ask("POST", f"{W}/preview", {"changes": changes}, admin)
    assert seen.status == 200, seen.text
    objects = seen.json["objects"]
    assert isinstance(objects, list)
    assert [(one["change"], one["path"], one["keys"]) for one in objects] == [
        ("changed", "routes/api.json", ["upstream"]),
        ("removed", "upstreams/api.json", []),
        ("added", "upstreams/new.json", []),
    ]
    assert 'there is no upstream "nowhere"' in json.dumps(seen.json["errors"]).replace("\\", "")
    good = world.ask("POST", f"{W}/preview", {"changes": changes[2:]}, admin)
    assert good.json["errors"] == []
    assert "upstreams.new" in json.dumps(good.json["warnings"])
    assert len(world.ask("GET", f"{W}/resources", token=admin).items) == 3


def test_a_config_reaches_nothing_of_the_masters_host(world: World) -> None:
    admin = world.set_up()
    spec = {"cert_file": "/etc/passwd", "key_file": "secrets/web.key"}
    changes = [change("certificates", "web", spec)]
    seen = world.ask("POST", f"{W}/preview", {"changes": changes}, admin).text
    assert "cannot be read: no such file below `secrets/`" in seen
    assert "root:" not in seen
    assert put(world, admin, "upstreams/api", {"endpoints": ["${env:HOME}:80"]}).status == 422


def test_a_draft_keeps_changes_until_it_is_removed(world: World) -> None:
    admin = world.set_up()
    put_all(world, admin)
    new = {"name": "canary", "changes": [change("routes", "b", ROUTE | {"hosts": ["b.example"]})]}
    made = world.ask("POST", f"{W}/drafts", new, admin)
    assert (made.status, made["version"]) == (201, "1")
    assert world.ask("POST", f"{W}/drafts", new, admin).status == 409
    seen = world.ask("POST", f"{W}/preview", {"draft": "canary"}, admin)
    objects = seen.json["objects"]
    assert isinstance(objects, list)
    assert [one["name"] for one in objects] == ["b"]
    other = {"changes": [change("routes", "api", None)]}
    assert world.ask("PUT", f"{W}/drafts/canary", other, admin, if_match='"1"').status == 200
    assert world.ask("PUT", f"{W}/drafts/canary", other, admin, if_match='"1"').status == 412
    twice = {"changes": other["changes"] * 2}
    assert world.ask("PUT", f"{W}/drafts/canary", twice, admin)["path"] == "$.changes[1]"
    assert world.ask("DELETE", f"{W}/drafts/canary", token=admin).status == 204
    assert world.ask("POST", f"{W}/preview", {"draft": "canary"}, admin).status == 404


def test_roles_bound_what_a_member_does_with_configs(world: World) -> None:
    admin = world.set_up()
    put_all(world, admin)
    viewer = world.invite(admin, "vic", "viewer")
    operator = world.invite(admin, "oli", "operator")
    assert world.ask("GET", f"{W}/resources", token=viewer).status == 200
    assert put(world, viewer, "routes/x", ROUTE).status == 403
    assert put(world, operator, "routes/x", ROUTE).status == 200
