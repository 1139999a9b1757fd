"""From objects to what agents must serve, and back; both databases."""

from typing import Any

import pytest
from master_world import LISTENER, ROUTE, UPSTREAM, World

from headgate.fleet.manifest import address

W = "/workspaces/default"


@pytest.fixture
def admin(world: World) -> str:
    """A master with a config and a fleet; the administrator's token."""
    token = world.set_up()
    made = world.ask("POST", f"{W}/fleets", {"name": "edge"}, token)
    assert made.status == 201, made.text
    for path, spec in (
        ("listeners/web", LISTENER),
        ("routes/api", ROUTE),
        ("upstreams/api", UPSTREAM),
    ):
        answer = world.ask("PUT", f"{W}/resources/{path}", {"spec": spec}, token)
        assert answer.status == 200, answer.text
    return token


def fleet_revision(world: World, admin: str) -> object:
    return world.ask("GET", f"{W}/fleets/edge", token=admin).json["revision"]


def test_publishing_makes_the_next_revision_of_the_fleet(world: World, admin: str) -> None:
    made = world.ask("POST", f"{W}/revisions", {"fleet": "edge", "message": "first"}, admin)
    assert made.status == 201, made.text
    assert (made.json["number"], made["author_name"], made["message"]) == (1, "ann", "first")
    objects = made.json["objects"]
    assert isinstance(objects, list)
    assert [one["change"] for one in objects] == ["added"] * 3
    assert fleet_revision(world, admin) == 1
    shown = world.ask("GET", f"{W}/revisions/{made['id']}", token=admin)
    entries = shown.json["entries"]
    assert isinstance(entries, list)
    assert [one["path"] for one in entries] == [
        "listeners/web.json",
        "routes/api.json",
        "upstreams/api.json",
    ]


def test_a_config_with_an_error_is_not_published(world: World, admin: str) -> None:
    spec = {"spec": ROUTE | {"upstream": "nowhere"}}
    world.ask("PUT", f"{W}/resources/routes/api", spec, admin)
    refused = world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin)
    assert refused.status == 422
    errors = refused.json["errors"]
    assert isinstance(errors, list)
    assert errors[0]["path"] == "routes/api.json: routes.api.upstream"
    assert fleet_revision(world, admin) is None
    assert world.ask("GET", f"{W}/revisions", token=admin).items == []
    unknown = world.ask("POST", f"{W}/revisions", {"fleet": "core"}, admin)
    assert unknown.status == 404


def test_a_published_draft_becomes_part_of_the_resources(world: World, admin: str) -> None:
    world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin)
    change = {"kind": "routes", "name": "b", "spec": ROUTE | {"hosts": ["b.example"]}}
    world.ask("POST", f"{W}/drafts", {"name": "more", "changes": [change]}, admin)
    seen = world.ask("POST", f"{W}/preview", {"draft": "more", "fleet": "edge"}, admin)
    assert [one["name"] for one in seen.json["objects"]] == ["b"]  # type: ignore[attr-defined]
    made = world.ask("POST", f"{W}/revisions", {"fleet": "edge", "draft": "more"}, admin)
    assert (made.status, made.json["objects"]) == (201, seen.json["objects"])
    assert world.ask("GET", f"{W}/resources/routes/b", token=admin).status == 200
    assert world.ask("GET", f"{W}/drafts/more", token=admin).status == 404


def test_a_draft_is_published_as_it_was_looked_at(world: World, admin: str) -> None:
    changes = [{"kind": "routes", "name": "b", "spec": ROUTE | {"hosts": ["b.example"]}}]
    drafted = {"name": "more", "changes": changes}
    world.ask("POST", f"{W}/drafts", drafted, admin)
    body = {"fleet": "edge", "draft": "more"}
    seen = world.ask("POST", f"{W}/preview", {"draft": "more"}, admin)["draft_tag"]
    world.ask("DELETE", f"{W}/drafts/more", token=admin)
    world.ask("POST", f"{W}/drafts", drafted, admin)
    late = world.ask("POST", f"{W}/revisions", body | {"draft_tag": seen}, admin)
    assert late.status == 412, "it is another draft of that name"
    alone = {"fleet": "edge", "draft_tag": seen}
    assert world.ask("POST", f"{W}/revisions", alone, admin)["path"] == "$.draft_tag"
    assert world.ask("POST", f"{W}/revisions", body | {"draft_tag": "1"}, admin).status == 422
    assert world.ask("POST", f"{W}/preview", {}, admin).json["draft_tag"] is None
    assert world.ask("POST", f"{W}/revisions", body, admin).status == 201


def test_rolling_back_publishes_an_older_revision_again(world: World, admin: str) -> None:
    first = world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin)
    spec = {"spec": ROUTE | {"hosts": ["b.example"]}}
    world.ask("PUT", f"{W}/resources/routes/api", spec, admin)
    world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin)
    back = world.ask("POST", f"{W}/revisions/{first['id']}/publish", {"message": "undo"}, admin)
    assert back.status == 201, back.text
    assert (back.json["number"], back.json["restores"]) == (3, 1)
    entries = [
        world.ask("GET", f"{W}/revisions/{one}", token=admin).json["entries"]
        for one in (first["id"], back["id"])
    ]
    assert entries[0] == entries[1]
    assert fleet_revision(world, admin) == 3
    numbers = [one["number"] for one in world.ask("GET", f"{W}/revisions", token=admin).items]
    assert numbers == [3, 2, 1]


def test_only_secrets_that_the_config_names_are_published(world: World, admin: str) -> None:
    world.ask("PUT", f"{W}/secrets/other.key", {"content": "of another fleet"}, admin)
    made = world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin)
    assert "other.key" not in world.ask("GET", f"{W}/revisions/{made['id']}", token=admin).text


def test_of_secret_files_a_revision_shows_nothing_to_try_guesses_on(
    world: World, admin: str
) -> None:
    world.ask("PUT", f"{W}/secrets/word", {"content": "Basic cGFzcw=="}, admin)
    header = {"request_headers": {"set": {"authorization": {"file": "secrets/word"}}}}
    spec = ROUTE | {"middlewares": [header]}
    put = world.ask("PUT", f"{W}/resources/routes/api", {"spec": spec}, admin)
    assert put.status == 200, put.text
    made = world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin)
    assert made.status == 201, made.text
    viewer = world.invite(admin, "vic", "viewer")
    shown = world.ask("GET", f"{W}/revisions/{made['id']}", token=viewer)
    entries: Any = shown.json["entries"]
    hashes = {one["path"]: one["sha256"] for one in entries}
    assert hashes.pop("secrets/word") == ""
    assert all(len(one) == 64 for one in hashes.values())
    assert address(b"Basic cGFzcw==") not in shown.text


def test_a_viewer_publishes_nothing(world: World, admin: str) -> None:
    viewer = world.invite(admin, "vic", "viewer")
    assert world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, viewer).status == 403
    assert world.ask("GET", f"{W}/revisions", token=viewer).status == 200
