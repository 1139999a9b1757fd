"""Searches of the logs of nodes: who is asked, who may ask, and what the answer says of each agent;
both databases."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from asgi import ask
from at_terminal import Person
from master_world import PASSWORD, Answer, World
from said_agent import W
from searched_node import Node, lines

from headgate.fleet.searches import LogLines, LogSearch
from headgate.master.domains.logs import service
from headgate.master.domains.logs.turns import OF_A_WORKSPACE


@pytest.fixture
def admin(world: World) -> str:
    """A master with a fleet; the administrator's token."""
    token = world.set_up()
    assert world.ask("POST", f"{W}/fleets", {"name": "edge"}, token).status == 201
    return token


def search(world: World, token: str, where: str = "fleets/edge", /, **query: object) -> Answer:
    return world.ask("POST", f"{W}/{where}/logs", query, token)


def body(answer: Answer) -> Any:
    assert answer.status == 200, answer.text
    return json.loads(answer.text)


def states(answer: Answer) -> dict[str, str]:
    return {one["name"]: one["state"] for one in body(answer)["agents"]}


def test_a_fleets_logs_are_one_answer_that_names_each_agent(world: World, admin: str) -> None:
    now = world.now_ms
    one = Node(world, admin, "one", lines((now - 1, "newest"), (now - 4, "oldest")))
    two = Node(world, admin, "two", lines((now - 2, "middle"), cut="3 s passed"))
    older, broken = Node(world, admin, "older"), Node(world, admin, "broken")
    Node(world, admin, "away")
    broken.reply = lambda asked: LogLines(asked.number, error="there is no log")
    for node in (one, two, broken):
        node.connect()
    older.connect(orders=())
    answer = search(world, admin, since_s=60, status="5xx", host="a.test", path="/a", text="b")
    found = body(answer)
    assert [line["text"] for line in found["lines"]] == ["newest", "middle", "oldest"]
    assert [line["name"] for line in found["lines"]] == ["one", "two", "one"]
    assert states(answer) == {
        "one": "searched",
        "two": "cut",
        "older": "older",
        "broken": "failed",
        "away": "away",
    }
    why = {each["name"]: each["why"] for each in found["agents"]}
    assert (why["one"], why["two"], why["broken"]) == ("", "3 s passed", "there is no log")
    (asked,) = one.searches
    assert asked == LogSearch(asked.number, now - 60_000, "5xx", "a.test", "/a", "b", 100, "access")
    assert len(body(search(world, admin, limit=1))["lines"]) == 1
    assert states(search(world, admin, limit=1))["one"] == "cut"


def test_one_agent_is_asked_by_its_id(world: World, admin: str) -> None:
    one, two = Node(world, admin, "one"), Node(world, admin, "two")
    one.connect()
    two.connect()
    assert states(search(world, admin, f"agents/{one.id}", source="events")) == {"one": "searched"}
    assert ([each.source for each in one.searches], two.searches) == (["events"], [])
    assert search(world, admin, "agents/x").status == 404
    assert search(world, admin, "fleets/x").status == 404
    assert world.ask("POST", f"{W}/agents/{one.id}/revocation", {}, admin).status == 200
    assert search(world, admin, f"agents/{one.id}").status == 409
    assert states(search(world, admin)) == {"two": "searched"}


def test_operators_search_and_viewers_do_not(world: World, admin: str) -> None:
    for role, status in (("viewer", 403), ("operator", 200)):
        assert search(world, world.invite(admin, role, role)).status == status


def test_another_tenants_agents_are_neither_found_nor_asked(world: World, admin: str) -> None:
    node = Node(world, admin, "one")
    node.connect()
    assert (
        world.ask("POST", "/organisations/main/workspaces", {"name": "shop"}, admin).status == 201
    )
    for where in (f"agents/{node.id}", "fleets/edge"):
        answer = world.ask("POST", f"/workspaces/shop/{where}/logs", {}, admin)
        assert answer.status == 404
    assert node.searches == []


def test_a_search_is_audited_and_no_event(world: World, admin: str) -> None:
    search(world, admin)
    audit = world.ask("GET", "/audit?limit=200", token=admin).items
    assert [one["object"] for one in audit if str(one["object"]).endswith("/logs")] == [
        f"/api/v1{W}/fleets/edge/logs"
    ]
    assert world.ask("GET", f"{W}/events?type=logs.created", token=admin).items == []
    headers = {"idempotency_key": "k"}
    for _ in range(2):
        answer = world.ask("POST", f"{W}/fleets/edge/logs", {}, admin, **headers)
        assert body(answer)["agents"] == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"status": "9xx"}, "$.status"),
        ({"status": "40"}, "$.status"),
        ({"limit": 1_001}, "$.limit"),
        ({"since_s": 0}, "$.since_s"),
        ({"text": ""}, "$.text"),
        ({"source": "error"}, "$.source"),
        ({"grep": "x"}, "$.grep"),
    ],
)
def test_a_wrong_query_is_refused_with_its_place(
    world: World, admin: str, query: dict[str, object], path: str
) -> None:
    answer = search(world, admin, **query)
    assert (answer.status, answer["path"]) == (422, path)


def test_a_search_asks_so_many_agents_and_names_the_rest(
    world: World, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_ASKED", 1)
    monkeypatch.setattr(service, "MOST_NAMED", 2)
    nodes = sorted((Node(world, admin, f"n{n}") for n in range(3)), key=lambda node: node.id)
    for node in nodes:
        node.connect()
    found = body(search(world, admin))
    assert [one["state"] for one in found["agents"]] == ["searched", "unasked"]
    assert found["agents_left_out"] == 1
    assert [len(node.searches) for node in nodes] == [1, 0, 0]


def test_a_workspace_has_so_many_searches_at_once(world: World, admin: str) -> None:
    found = body(world.ask("GET", W, token=admin))
    turns = world.master.searches
    with turns.taken(found["id"]):
        assert search(world, admin).status == 200
        with turns.taken(found["id"]):
            assert OF_A_WORKSPACE == 2
            refused = search(world, admin)
            assert (refused.status, refused.headers["retry-after"]) == (429, "3")
    assert search(world, admin).status == 200


def test_the_command_shows_lines_and_who_did_not_answer(
    world: World, admin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_transport: object, request: httpx2.Request) -> httpx2.Response:
        path = request.url.raw_path.decode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        reply = world.runner.run(ask(world.app, request.method, path, request.read(), headers))
        return httpx2.Response(reply.status, headers=reply.headers, content=reply.body)

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", answer)
    node = Node(world, admin, "one", lines((world.now_ms, "GET /\x1b[31m")))
    node.connect()
    person = Person(tmp_path / "home", "http://127.0.0.1:8080")
    person.log_in(PASSWORD)
    assert "one  GET /?[31m" in person.run("logs", "--fleet", "edge", "--status", "5xx")
    assert node.searches[-1].status == "5xx"
    assert node.searches[-1].since_ms == world.now_ms - 3_600_000
    shown = json.loads(person.run("logs", "--agent", "one", "--since", "5m", "-o", "json"))
    assert shown["agents"][0]["state"] == "searched"
    Node(world, admin, "two")
    assert "GET" in person.run("logs", "--fleet", "edge")
    assert "--since" in person.run("logs", "--fleet", "edge", "--since", "x", code=1)
    assert "two is away: " in person.run("logs", "--agent", "two", code=1)
    assert "one of --fleet and --agent" in person.run("logs", code=2)
