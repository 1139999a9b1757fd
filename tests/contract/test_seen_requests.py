"""Previews that try the requests that the nodes of a fleet had lately; both databases."""

import json
from typing import Any

import pytest
from master_world import LISTENER, ROUTE, UPSTREAM, World
from said_agent import W
from searched_node import Node, lines

LINE = (
    '{"client_ip":"192.0.2.7","listener":"web","method":"GET","scheme":"http","host":"a.example",'
    '"target":"%s","status":200}'
)


@pytest.fixture
def admin(world: World) -> str:
    """A master with a fleet that got a config; the administrator's token."""
    token = world.set_up()
    for name in ("edge", "other"):
        assert world.ask("POST", f"{W}/fleets", {"name": name}, token).status == 201
    for path, spec in (
        ("listeners/web", LISTENER),
        ("routes/api", ROUTE),
        ("upstreams/api", UPSTREAM),
    ):
        answer = world.ask("PUT", f"{W}/resources/{path}", {"spec": spec}, token)
        assert answer.status == 200, answer.text
    assert world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, token).status == 201
    return token


def node(world: World, admin: str, name: str, *targets: str) -> Node:
    """A connected node that had requests for these targets, the first one last."""
    found = [(world.now_ms - number, LINE % one) for number, one in enumerate(targets)]
    one = Node(world, admin, name, lines(*found, (world.now_ms - 99, "no request")))
    one.connect()
    return one


def preview(world: World, token: str, seen: str | None = "edge") -> dict[str, Any]:
    """What the preview of a route for `/new` says of requests, by fleet."""
    match = [{"path": {"prefix": "/new"}}]
    new = {"kind": "routes", "name": "new", "spec": ROUTE | {"match": match, "upstream": "b"}}
    other = {"kind": "upstreams", "name": "b", "spec": UPSTREAM}
    body = {"changes": [new, other], "seen": seen}
    answer = world.ask("POST", f"{W}/preview", body, token)
    assert answer.status == 200, answer.text
    return {one["fleet"]: one["requests"] for one in json.loads(answer.text)["fleets"]}


def test_requests_that_nodes_had_are_tried_and_counted(world: World, admin: str) -> None:
    one = node(world, admin, "one", "/new/a", "/new/b?c=1", "/old")
    two = node(world, admin, "two", "/new/b?c=1", "/new/b?c=1")
    Node(world, admin, "away")
    found = preview(world, admin)
    edge = found["edge"]
    assert [len(each.searches) for each in (one, two)] == [1, 1]
    assert (edge["source"], edge["asked"], edge["more"]) == ("seen", 3, 0)
    assert (edge["searched"], edge["unsearched"]) == (2, 1)
    assert [(each["url"], each["count"]) for each in edge["moved"]] == [
        ("http://a.example/new/b?c=1", 3),
        ("http://a.example/new/a", 1),
    ]
    first = edge["moved"][0]
    assert (first["before"], first["after"]) == ("upstream api", "upstream b")
    assert found["other"]["source"] == "made"


def test_without_requests_of_nodes_they_are_made(world: World, admin: str) -> None:
    Node(world, admin, "away")
    away = preview(world, admin)["edge"]
    assert (away["source"], away["searched"], away["unsearched"]) == ("made", 0, 1)
    assert away["asked"] > 0
    quiet = node(world, admin, "quiet")
    assert preview(world, admin)["edge"]["source"] == "made"
    assert len(quiet.searches) == 1
    assert preview(world, admin, None)["edge"]["searched"] == 0
    assert len(quiet.searches) == 1, "nobody asked for what nodes had"


def test_who_may_not_read_logs_gets_no_request_of_nodes(world: World, admin: str) -> None:
    one = node(world, admin, "one", "/new")
    viewer = world.invite(admin, "viv", "viewer")
    refused = world.ask("POST", f"{W}/preview", {"seen": "edge"}, viewer)
    assert (refused.status, refused["type"]) == (403, "urn:headgate:problem:forbidden")
    assert "logs.read" in refused.text
    assert world.ask("POST", f"{W}/preview", {"seen": "none"}, admin).status == 404
    assert world.ask("POST", f"{W}/preview", {}, viewer).status == 200
    assert one.searches == []


def test_such_a_preview_is_in_the_audit_log(world: World, admin: str) -> None:
    node(world, admin, "one", "/new")
    preview(world, admin)
    entries = world.ask("GET", "/audit?limit=200", token=admin).items
    assert [one["action"] for one in entries if str(one["object"]).endswith("/preview")] == [
        "logs.read"
    ]
