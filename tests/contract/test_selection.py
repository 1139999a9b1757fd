"""Which resources go to which fleet, by labels; both databases."""

from typing import Any

import pytest
from master_world import LISTENER, ROUTE, UPSTREAM, World

W = "/workspaces/default"
PROD = {"env": "prod"}


@pytest.fixture
def admin(world: World) -> str:
    """A config, and the fleets `live` (env=prod) and `lab` (env=test); the token."""
    token = world.set_up()
    for name, labels in (("live", PROD), ("lab", {"env": "test", "zone": "a"})):
        made = world.ask("POST", f"{W}/fleets", {"name": name, "labels": labels}, token)
        assert made.status == 201, made.text
    put(world, token, "listeners/web", LISTENER)
    put(world, token, "upstreams/api", UPSTREAM)
    put(world, token, "routes/api", ROUTE)
    put(world, token, "routes/live", {"hosts": ["live.example"], "upstream": "api"}, PROD)
    return token


def put(world: World, token: str, path: str, spec: object, fleets: object = None) -> Any:
    body = {"spec": spec} if fleets is None else {"spec": spec, "fleets": fleets}
    answer = world.ask("PUT", f"{W}/resources/{path}", body, token)
    assert answer.status == 200, answer.text
    return answer.json


def entries(world: World, admin: str, fleet: str) -> list[str]:
    """The paths of what a fleet gets when it is published to."""
    made = world.ask("POST", f"{W}/revisions", {"fleet": fleet}, admin)
    assert made.status == 201, made.text
    shown: Any = world.ask("GET", f"{W}/revisions/{made['id']}", token=admin).json
    return [one["path"] for one in shown["entries"]]


def test_an_object_goes_to_fleets_that_have_all_of_its_labels(world: World, admin: str) -> None:
    common = ["listeners/web.json", "routes/api.json", "upstreams/api.json"]
    assert entries(world, admin, "lab") == common
    assert entries(world, admin, "live") == sorted([*common, "routes/live.json"])


def test_a_change_of_the_spec_alone_leaves_the_labels(world: World, admin: str) -> None:
    changed = put(world, admin, "routes/live", {"hosts": ["new.example"], "upstream": "api"})
    assert changed["fleets"] == PROD
    opened = put(world, admin, "routes/live", changed["spec"], {})
    assert (opened["fleets"], opened["version"]) == ({}, changed["version"] + 1)
    assert "routes/live.json" in entries(world, admin, "lab")


def test_a_preview_says_what_each_fleet_gets_and_what_not(world: World, admin: str) -> None:
    change = {
        "kind": "routes",
        "name": "lab",
        "spec": {"hosts": ["lab.example"], "upstream": "api"},
        "fleets": {"env": "test", "zone": "a"},
    }
    seen: Any = world.ask("POST", f"{W}/preview", {"changes": [change]}, admin).json
    fleets = {one["fleet"]: one for one in seen["fleets"]}
    assert fleets["live"]["left_out"] == ["routes/lab.json"]
    assert fleets["lab"]["left_out"] == ["routes/live.json"]
    assert "routes/lab.json" in [one["path"] for one in fleets["lab"]["objects"]]
    assert "routes/lab.json" not in [one["path"] for one in fleets["live"]["objects"]]


def test_what_an_object_refers_to_must_go_to_its_fleets_too(world: World, admin: str) -> None:
    put(world, admin, "upstreams/api", UPSTREAM, PROD)
    seen: Any = world.ask("POST", f"{W}/preview", {}, admin).json
    fleets = {one["fleet"]: one for one in seen["fleets"]}
    assert fleets["live"]["errors"] == []
    assert [one["path"] for one in fleets["lab"]["errors"]] == [
        "routes/api.json: routes.api.upstream"
    ]
    assert seen["errors"] == fleets["lab"]["errors"]
    refused = world.ask("POST", f"{W}/revisions", {"fleet": "lab"}, admin)
    assert refused.status == 422
    assert entries(world, admin, "live") != []


def test_two_fleets_may_have_objects_that_exclude_each_other(world: World, admin: str) -> None:
    put(world, admin, "routes/api", ROUTE, PROD)
    put(world, admin, "routes/other", ROUTE, {"env": "test"})
    seen: Any = world.ask("POST", f"{W}/preview", {}, admin).json
    assert seen["errors"] == []


@pytest.mark.parametrize("fleets", [{"A B": "x"}, {"env": 1}, {"env": None}, ["env"]])
def test_labels_that_are_none_are_refused(world: World, admin: str, fleets: object) -> None:
    body = {"spec": ROUTE, "fleets": fleets}
    refused = world.ask("PUT", f"{W}/resources/routes/api", body, admin)
    assert refused.status == 422
    assert "fleets" in refused.text
