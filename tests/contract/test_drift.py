"""What agents say of drift, what their fleet orders about it, and who may; both databases."""

import json
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from asgi import ask
from at_terminal import Person
from drifting_agent import Node
from master_world import PASSWORD, World
from said_agent import W

from headgate.fleet.drift import Drift, DriftedFile, HealEnd
from headgate.fleet.orders import DriftPolicy, Heal

FILE = DriftedFile("releases/1-a/nginx.conf", "edited", 1_000, "-a\n+b\n", "same")
DRIFTS = Drift(1_000, ("disk drift",), (FILE,), 1, "report")
FINE = Drift(0, ("in sync",), policy="heal")


@pytest.fixture
def admin(world: World) -> str:
    """A master with a fleet; the administrator's token."""
    token = world.set_up()
    assert world.ask("POST", f"{W}/fleets", {"name": "edge"}, token).status == 201
    return token


def test_drift_is_shown_with_its_files_and_told_once(world: World, admin: str) -> None:
    node = Node(world, admin)
    assert (node.shown()["drift"], node.shown()["files"]) == (None, [])
    node.says(FINE)
    assert node.events() == []
    node.says(DRIFTS)
    node.says(DRIFTS)
    node.says(replace(DRIFTS, held="night fix"))
    shown = node.shown()
    assert [(one["path"], one["diff"], one["next"]) for one in shown["files"]] == [
        (FILE.path, "-a\n+b\n", "same")
    ]
    assert shown["drift"]["held"] == "night fix"
    agent = world.ask("GET", f"{W}/agents/{node.id}", token=admin)
    found = json.loads(agent.text)
    assert (found["drifts"], found["drift"]["files"]) == (True, [FILE.path])
    node.says(FINE)
    told = [(one["drifts"], one["files"], one["states"]) for one in node.events()]
    assert told == [(True, [FILE.path], ["disk drift"]), (False, [], ["in sync"])]
    assert node.shown()["files"] == []
    assert world.ask("DELETE", f"{W}/agents/{node.id}", token=admin).status == 204
    assert node.ask().status == 404


def test_a_fleets_policy_reaches_those_that_take_it(world: World, admin: str) -> None:
    node = Node(world, admin)
    assert node.ordered() is None
    woken: list[str] = []
    world.master.book.wake = woken.append
    node.policy("heal", heal_after_s=5)
    # A master that has the stream sees it with the next heartbeat, whichever took the change.
    node.says(FINE)
    assert set(woken) == {node.id}
    assert node.ordered() == (DriftPolicy("heal", 5.0),)
    assert node.ask()["ignores_policy"] == ""
    node.policy("report")
    assert node.ordered() == (DriftPolicy("report", 5.0),)
    assert "not in force yet" in node.ask()["ignores_policy"]
    node.policy("node")
    assert node.ordered() == (DriftPolicy("node", 0.0),)
    assert Node(world, admin).ordered() is None
    node.policy("report")
    older = Node(world, admin, orders=())
    assert older.ordered() == (DriftPolicy("report", 5.0),)
    assert "upgrade the agent" in older.ask()["ignores_policy"]
    assert older.ask("POST", "heal")["type"] == "urn:headgate:problem:not-taken"


def test_a_policy_that_there_is_not_is_refused_with_its_place(world: World, admin: str) -> None:
    for wrong in ({"drift": "publish"}, {"drift": "heal", "heal_after_s": -1}):
        answer = world.ask("PATCH", f"{W}/fleets/edge", {"policies": wrong}, admin)
        assert answer.status == 422
        assert answer["path"].startswith("$.policies.")


def test_a_heal_is_ordered_done_and_audited(world: World, admin: str) -> None:
    node = Node(world, admin)
    node.says(DRIFTS)
    made = node.ask("POST", "heal")
    assert (made.status, json.loads(made.text)["heal"]["state"]) == (202, "ordered")
    (_, order) = node.ordered() or ()
    assert isinstance(order, Heal)
    node.says(replace(DRIFTS, heal=HealEnd(order.order, "a hold keeps this nginx")))
    heal = node.shown()["heal"]
    assert (heal["state"], heal["error"]) == ("failed", "a hold keeps this nginx")
    assert node.ordered() == (DriftPolicy("node", 0.0),)
    node.ask("POST", "heal")
    (_, again) = node.ordered() or ()
    assert isinstance(again, Heal)
    assert again.order > order.order
    node.says(replace(FINE, heal=HealEnd(again.order)))
    assert node.shown()["heal"]["state"] == "done"
    audit = world.ask("GET", "/audit?limit=200", token=admin).items
    assert [one["object"] for one in audit if str(one["object"]).endswith("/heal")] == [
        f"/api/v1{W}/agents/{node.id}/heal"
    ] * 2


def test_a_heal_that_nobody_did_expires(world: World, admin: str) -> None:
    node = Node(world, admin)
    node.ask("POST", "heal")
    world.advance(minutes=11)
    world_token = world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})
    node.admin = world_token["access_token"]
    assert node.shown()["heal"]["state"] == "expired"
    assert node.ordered() == (DriftPolicy("node", 0.0),)


def test_operators_heal_and_viewers_look(world: World, admin: str) -> None:
    node = Node(world, admin)
    for role, status in (("viewer", 403), ("operator", 202)):
        node.admin = world.invite(admin, role, role)
        assert node.ask().status == 200
        assert node.ask("POST", "heal").status == status


def test_the_commands_show_heal_and_choose(
    world: World, admin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_transport: object, request: httpx2.Request) -> httpx2.Response:
        path = request.url.raw_path.decode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        work = ask(world.app, request.method, path, request.read(), headers)
        reply = world.runner.run(work)
        return httpx2.Response(reply.status, headers=reply.headers, content=reply.body)

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", answer)
    node = Node(world, admin)
    person = Person(tmp_path / "home", "http://127.0.0.1:8080")
    person.log_in(PASSWORD)
    assert "not known" in person.run("drift", "show", node.id)
    node.says(replace(DRIFTS, files=(replace(FILE, diff="-a\n+\x1b[31mb\n"),)))
    shown = person.run("drift", "show", node.id)
    assert "disk drift since" in shown
    assert "+?[31mb" in shown.splitlines()
    assert "drift policy report" in person.run(
        "drift", "policy", "edge", "report", "--heal-after", "2m"
    )
    fleet = world.ask("GET", f"{W}/fleets/edge", token=admin).json
    assert fleet["policies"] == {
        "certificate_hours": 24,
        "most_agents": 10_000,
        "drift": "report",
        "heal_after_s": 120,
        "approvals": 0,
    }
    assert "ordered" in person.run("drift", "heal", node.id, "--no-wait")
    assert "yes" in person.run("get", "agents")
