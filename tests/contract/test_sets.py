"""Objects belong to sets: only writes of its set, or one that takes it over, change one; both
databases."""

from typing import Any

from master_world import LISTENER, ROUTE, UPSTREAM, Answer, World

W = "/workspaces/default"
OTHER_SET = "urn:headgate:problem:other-set"
SPEC: dict[str, object] = {"hosts": ["{{ host }}"], "upstream": "api"}


def template(**more: object) -> dict[str, object]:
    """A template of one route."""
    route = {"kind": "routes", "name": "{{ host }}", "spec": SPEC | more}
    return {"parameters": {"host": {"type": "host"}}, "objects": [route]}


TEMPLATE = template()
HOST = {"template": "site", "values": {"host": "shop.example"}}


def put(world: World, token: str, path: str, spec: object, query: str = "", **head: str) -> Answer:
    return world.ask("PUT", f"{W}/resources/{path}{query}", {"spec": spec}, token, **head)


def set_of(world: World, token: str, path: str) -> object:
    return world.ask("GET", f"{W}/{path}", token=token).json["set"]


def refused(answer: Answer, owner: str, path: str = "set") -> None:
    """What another set owns is refused with its name."""
    assert (answer.status, answer["type"], answer["path"]) == (409, OTHER_SET, path), answer.text
    assert f'belongs to the set "{owner}"' in answer["detail"]
    assert "take_over" in answer["detail"]


def test_an_object_belongs_to_the_set_that_wrote_it_first(world: World) -> None:
    admin = world.set_up()
    assert put(world, admin, "upstreams/api", UPSTREAM).json["set"] == "default"
    assert put(world, admin, "routes/api", ROUTE, "?set=web").json["set"] == "web"
    listed = world.ask("GET", f"{W}/resources", token=admin).items
    assert [one["set"] for one in listed] == ["web", "default"]
    for name in ("Web", "-", "a%20b", "a" * 64):
        bad = put(world, admin, "routes/b", ROUTE, f"?set={name}")
        assert (bad.status, bad["path"]) == (422, "set")


def test_a_write_of_another_set_changes_nothing(world: World) -> None:
    admin = world.set_up()
    first = put(world, admin, "routes/api", ROUTE, "?set=web")
    changed = ROUTE | {"hosts": ["b.example"]}
    for query in ("", "?set=api", "?set=api&take_over=false"):
        refused(put(world, admin, "routes/api", changed, query), "web")
        refused(put(world, admin, "routes/api", ROUTE, query), "web")
        refused(put(world, admin, "routes/api", changed, query, if_match='"1"'), "web")
        gone = world.ask("DELETE", f"{W}/resources/routes/api{query}", token=admin)
        refused(gone, "web")
    assert world.ask("GET", f"{W}/resources/routes/api", token=admin).json == first.json
    again = put(world, admin, "routes/api", changed, "?set=web")
    assert (again.status, again["version"]) == (200, "2")
    removed = world.ask("DELETE", f"{W}/resources/routes/api?set=web", token=admin)
    assert removed.status == 204


def test_what_is_taken_over_belongs_to_the_new_set_and_is_refused_to_the_old_one(
    world: World,
) -> None:
    admin = world.set_up()
    put(world, admin, "routes/api", ROUTE, "?set=web")
    taken = put(world, admin, "routes/api", ROUTE, "?set=api&take_over=true")
    assert (taken.status, taken["set"], taken["version"]) == (200, "api", "2")
    refused(put(world, admin, "routes/api", ROUTE, "?set=web"), "api")
    late = put(world, admin, "routes/api", ROUTE, "?take_over=true", if_match='"1"')
    assert late.status == 412
    path = f"{W}/resources/routes/api?take_over=true"
    assert world.ask("DELETE", path, token=admin).status == 204


def test_a_draft_is_published_only_if_its_changes_are_of_the_sets_of_the_objects(
    world: World,
) -> None:
    admin = world.set_up()
    put(world, admin, "listeners/web", LISTENER)
    put(world, admin, "upstreams/api", UPSTREAM)
    put(world, admin, "routes/api", ROUTE, "?set=web")
    world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin)
    other = ROUTE | {"hosts": ["b.example"]}
    change: dict[str, object] = {"kind": "routes", "name": "api", "spec": other}
    made = world.ask("POST", f"{W}/drafts", {"name": "d", "changes": [change]}, admin)
    assert made.status == 201, made.text
    publish = {"fleet": "edge", "draft": "d"}
    refused(world.ask("POST", f"{W}/revisions", publish, admin), "web")
    seen: Any = world.ask("POST", f"{W}/preview", {"draft": "d"}, admin).json
    assert [one["path"] for one in seen["errors"]] == ["routes/api.json"]
    assert set_of(world, admin, "resources/routes/api") == "web"
    for own, owner in (({"set": "web"}, "web"), ({"take_over": True}, "default")):
        world.ask("DELETE", f"{W}/drafts/d", token=admin)
        body = {"name": "d", "changes": [change | own]}
        assert world.ask("POST", f"{W}/drafts", body, admin).status == 201
        seen = world.ask("POST", f"{W}/preview", {"draft": "d"}, admin).json
        assert seen["errors"] == []
        published = world.ask("POST", f"{W}/revisions", publish, admin)
        assert published.status == 201, published.text
        assert set_of(world, admin, "resources/routes/api") == owner


def test_virtual_hosts_and_templates_belong_to_sets_with_what_they_make(world: World) -> None:
    admin = world.set_up()
    site, host = f"{W}/templates/site", f"{W}/virtual-hosts/shop"
    assert world.ask("PUT", f"{site}?set=web", TEMPLATE, admin).status == 200
    assert world.ask("PUT", f"{host}?set=web", HOST, admin).status == 200
    route = "resources/routes/shop.example"
    assert set_of(world, admin, route) == "web"
    for method, path, body in (
        ("PUT", site, TEMPLATE),
        ("PUT", host, HOST),
        ("DELETE", host, None),
        ("DELETE", site, None),
    ):
        refused(world.ask(method, path, body, admin), "web")
    asked = {"templates": {"site": TEMPLATE}, "virtual_hosts": {"shop": HOST}}
    seen: Any = world.ask("POST", f"{W}/preview", asked, admin).json
    assert {one["path"] for one in seen["errors"] if "belongs to" in one["detail"]} == {
        "routes/shop.example.json",
        "templates.site",
        "virtual_hosts.shop",
    }
    seen = world.ask("POST", f"{W}/preview", asked | {"set": "web"}, admin).json
    assert not [one for one in seen["errors"] if "belongs to" in one["detail"]]

    taken = world.ask("PUT", f"{host}?set=api&take_over=true", HOST, admin)
    assert (taken.status, taken["set"]) == (200, "api")
    assert set_of(world, admin, route) == "api"
    assert world.ask("DELETE", f"{host}?set=api", token=admin).status == 204
    assert world.ask("GET", f"{W}/{route}", token=admin).status == 404
    assert world.ask("DELETE", f"{site}?set=web", token=admin).status == 204


def test_the_draft_of_a_changed_template_keeps_the_sets_of_its_virtual_hosts(world: World) -> None:
    admin = world.set_up()
    put(world, admin, "upstreams/api", UPSTREAM)
    put(world, admin, "listeners/web", LISTENER)
    world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin)
    world.ask("PUT", f"{W}/templates/site", TEMPLATE, admin)
    world.ask("PUT", f"{W}/virtual-hosts/shop?set=web", HOST, admin)
    changed = template(priority=7)
    draft = world.ask("PUT", f"{W}/templates/site", changed, admin)["draft"]
    done = world.ask("POST", f"{W}/revisions", {"fleet": "edge", "draft": draft}, admin)
    assert done.status == 201, done.text
    route: Any = world.ask("GET", f"{W}/resources/routes/shop.example", token=admin).json
    assert (route["set"], route["spec"]["priority"]) == ("web", 7)
