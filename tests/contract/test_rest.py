"""What every route has in common, on both databases."""

import asyncio

from asgi import ask
from master_world import World

_NEW = "/organisations/main/workspaces"


def test_a_list_continues_at_its_cursor(world: World) -> None:
    admin = world.set_up()
    for number in range(5):
        world.advance(ms=1)
        assert world.ask("POST", _NEW, {"name": f"w{number}"}, admin).status == 201
    names, cursor = [], ""
    for _ in range(3):
        page = world.ask("GET", f"/workspaces?limit=2{cursor}", token=admin)
        names += [one["name"] for one in page.items]
        cursor = f"&cursor={page['next']}"
    assert names == ["default", "w0", "w1", "w2", "w3", "w4"]
    assert page.json["next"] is None
    assert world.ask("GET", "/workspaces?cursor=%C3%BC", token=admin)["path"] == "cursor"


def test_a_stale_change_gets_the_current_state(world: World) -> None:
    admin = world.set_up()
    made = world.ask("POST", _NEW, {"name": "edge"}, admin)
    path = f"{_NEW}/{made['id']}"
    assert made.headers["etag"].startswith('"1-')
    changed = world.ask("PATCH", path, {"name": "core"}, admin, if_match='"1"')
    assert (changed.status, changed["version"]) == (200, "2")
    late = world.ask("PATCH", path, {"name": "late"}, admin, if_match='"1"')
    assert late.status == 412
    assert late.json["current"] == changed.json
    assert world.ask("PATCH", path, {"name": "x"}, admin, if_match="2").status == 422
    shown = world.ask(
        "GET", f"/workspaces/{made['id']}", token=admin, if_none_match=changed.headers["etag"]
    )
    assert (shown.status, shown.text) == (304, "")


def test_who_belongs_to_two_organisations_lists_either(world: World) -> None:
    admin = world.set_up()
    other = world.ask("POST", "/organisations", {"name": "other"}, admin)
    made = world.ask("POST", "/tokens?organisation=other", {"name": "ci", "role": "viewer"}, admin)
    for noun in ("tokens", "users", "audit"):
        assert world.ask("GET", f"/{noun}?limit=9", token=admin)["path"] == "organisation"
        for name in ("other", str(other["id"])):
            page = world.ask("GET", f"/{noun}?organisation={name}&limit=9", token=admin)
            assert len(page.items) == 1, page.text
    listed = world.ask("GET", "/tokens?organisation=other", token=admin).items
    assert [one["id"] for one in listed] == [made["id"]]
    assert world.ask("GET", "/audit?organisation=none", token=admin).status == 404


def test_a_version_that_nothing_is_compared_with_is_refused(world: World) -> None:
    admin = world.set_up()
    token = world.ask("POST", "/tokens", {"name": "ci", "role": "viewer"}, admin)
    path = f"/tokens/{token['id']}"
    refused = world.ask("DELETE", path, token=admin, if_match='"1"')
    assert (refused.status, refused["path"]) == (422, "If-Match"), refused.text
    assert world.ask("GET", "/auth/me", token=token["secret"]).status == 200
    assert world.ask("DELETE", path, token=admin, if_match="*").status == 204


def test_what_is_removed_is_the_version_that_was_seen(world: World) -> None:
    admin = world.set_up()
    here = "/workspaces/default"
    world.ask("PUT", f"{here}/secrets/a.key", {"content": "1"}, admin)
    change = {"kind": "upstreams", "name": "u", "spec": {"endpoints": ["127.0.0.1:1"]}}
    world.ask("POST", f"{here}/drafts", {"name": "d", "changes": [change]}, admin)
    freeze = world.ask("POST", f"{here}/freezes", {"seconds": 60, "reason": "r"}, admin)
    world.invite(admin, "bob", "viewer")
    users = world.ask("GET", "/users", token=admin).items
    bob = next(one for one in users if one["name"] == "bob")
    paths = [f"{here}/secrets/a.key", f"{here}/drafts/d", f"{here}/freezes/{freeze['id']}"]
    seen = {path: 1 for path in paths} | {f"/users/{bob['id']}": bob["version"]}
    for path, version in seen.items():
        late = world.ask("DELETE", path, token=admin, if_match='"99"')
        assert (late.status, late["type"]) == (412, "urn:headgate:problem:stale"), late.text
        gone = world.ask("DELETE", path, token=admin, if_match=f'"{version}"')
        assert gone.status == 204, path
    missing = world.ask("PUT", paths[0], {"content": "2"}, admin, if_match='"1"')
    assert missing.status == 412


def test_a_repeated_request_is_carried_out_once(world: World) -> None:
    admin = world.set_up()
    first = world.ask("POST", _NEW, {"name": "edge"}, admin, idempotency_key="k")
    again = world.ask("POST", _NEW, {"name": "edge"}, admin, idempotency_key="k")
    assert (again.status, again.text) == (201, first.text)
    assert again.headers["etag"] == first.headers["etag"]
    other = world.ask("POST", _NEW, {"name": "core"}, admin, idempotency_key="k")
    assert other["type"] == "urn:headgate:problem:key-reused"
    world.advance(days=1, ms=1)


def test_a_repeated_request_shows_no_secret_again(world: World) -> None:
    admin = world.set_up()
    body = {"name": "ci", "role": "viewer"}
    assert world.ask("POST", "/tokens", body, admin, idempotency_key="k").status == 201
    again = world.ask("POST", "/tokens", body, admin, idempotency_key="k")
    assert (again.status, again["type"]) == (409, "urn:headgate:problem:repeated")
    assert len(world.ask("GET", "/tokens", token=admin).items) == 1


def test_a_request_that_failed_may_be_repeated(world: World) -> None:
    admin = world.set_up()
    world.ask("POST", _NEW, {"name": "edge"}, admin)
    assert world.ask("POST", _NEW, {"name": "edge"}, admin, idempotency_key="k").status == 409
    world.ask("PATCH", f"{_NEW}/{_id(world, admin)}", {"name": "core"}, admin)
    assert world.ask("POST", _NEW, {"name": "edge"}, admin, idempotency_key="k").status == 201


def _id(world: World, admin: str) -> object:
    return world.ask("GET", "/workspaces/edge", token=admin).json["id"]


def test_bad_bodies_get_every_place_and_what_is_allowed(world: World) -> None:
    admin = world.set_up()
    answer = world.ask("POST", "/tokens", {"name": "CI", "rol": "viewer"}, admin)
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    errors = answer.json["errors"]
    assert isinstance(errors, list)
    assert {one["path"] for one in errors} == {"$.name", "$.role", "$.rol"}
    assert world.ask("GET", "/tokens?limit=0", token=admin)["path"] == "limit"
    assert world.ask("GET", "/tokens?size=3", token=admin)["path"] == "size"
    assert world.ask("GET", "/nowhere", token=admin).status == 404
    assert world.ask("PUT", "/tokens", {}, admin).status == 405


def test_a_body_that_is_too_large_is_refused(world: World) -> None:
    answer = world.ask("POST", "/auth/login", {"name": "a" * (1 << 20), "password": "x"})
    assert answer.status == 413


def test_a_tenant_sees_nothing_of_another(world: World) -> None:
    admin = world.set_up()
    other = world.ask("POST", "/organisations", {"name": "other"}, admin)
    theirs = world.invite(admin, "bob", "admin", query="?organisation=other")
    made = world.ask("POST", _NEW, {"name": "secret"}, admin)
    token = world.ask("POST", "/tokens?organisation=main", {"name": "ci", "role": "viewer"}, admin)
    assert world.ask("GET", f"/workspaces/{made['id']}", token=theirs).status == 404
    assert world.ask("GET", "/workspaces/secret", token=theirs).status == 404
    assert world.ask("GET", "/organisations/main", token=theirs).status == 404
    assert world.ask("GET", "/audit?organisation=main", token=theirs).status == 404
    assert world.ask("GET", f"/tokens/{token['id']}", token=theirs).status == 404
    assert world.ask("DELETE", f"/tokens/{token['id']}", token=theirs).status == 404
    assert world.ask("GET", "/workspaces", token=theirs).items == []
    assert world.ask("GET", "/tokens", token=theirs).items == []
    assert [one["name"] for one in world.ask("GET", "/organisations", token=theirs).items] == [
        "other"
    ]
    assert {one["name"] for one in world.ask("GET", "/users", token=theirs).items} == {
        "ann",
        "bob",
    }
    path = f"/organisations/other/workspaces/{made['id']}"
    assert world.ask("PATCH", path, {"name": "mine"}, theirs).status == 404
    assert other.status == 201


def test_a_role_in_one_workspace_reaches_no_other(world: World) -> None:
    admin = world.set_up()
    edge = world.ask("POST", _NEW, {"name": "edge"}, admin)["id"]
    bob = world.invite(admin, "bob", "admin", edge)
    assert world.ask("GET", "/workspaces/edge", token=bob).status == 200
    assert world.ask("GET", "/workspaces/default", token=bob).status == 404
    assert world.ask("GET", "/users", token=bob).status == 403
    assert world.ask("POST", _NEW, {"name": "x"}, bob).status == 403
    assert [one["name"] for one in world.ask("GET", "/workspaces", token=bob).items] == ["edge"]


def test_many_writes_at_once_are_all_kept(world: World) -> None:
    admin = world.set_up()

    async def make(number: int) -> int:

        headers = {"authorization": f"Bearer {admin}", "content-type": "application/json"}
        body = f'{{"name": "w{number}"}}'.encode()
        return (await ask(world.app, "POST", f"/api/v1{_NEW}", body, headers)).status

    async def all_at_once() -> list[int]:
        return await asyncio.gather(*(make(number) for number in range(40)))

    assert world.runner.run(all_at_once()) == [201] * 40
    assert len(world.ask("GET", "/workspaces", token=admin).items) == 41
