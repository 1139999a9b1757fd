"""Writes that cross on PostgreSQL: one comes while another has read, and has not written yet.
SQLite writes one after the other anyway."""

import asyncio
import json
import sys
from typing import NamedTuple

import pytest
from asgi import ask
from master_world import LISTENER, ROUTE, UPSTREAM, World
from peopled_fleet import Fleet, W

DOMAINS = "headgate.master.domains"
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


class Request(NamedTuple):
    """A request to the API."""

    token: str
    method: str
    path: str
    body: object = None


def crossed(
    world: World, asked: str, first: Request, second: Request, after: int = 1
) -> tuple[int, int]:
    """Sends the first request, and the second one as soon as the function `asked` was called so
    often; the first goes on when the second has ended, or waits for it. Returns their statuses."""
    module, _, name = asked.rpartition(".")
    original = getattr(sys.modules[module], name)
    calls = 0
    other: list[asyncio.Task[int]] = []

    async def one(request: Request) -> int:
        headers = {"authorization": f"Bearer {request.token}", "content-type": "application/json"}
        raw = b"" if request.body is None else json.dumps(request.body).encode()
        path = f"/api/v1{request.path}"
        return (await ask(world.app, request.method, path, raw, headers)).status

    async def called(*given: object, **more: object) -> object:
        nonlocal calls
        found = await original(*given, **more)
        calls += 1
        if calls == after:
            other.append(asyncio.create_task(one(second)))
            while not (other[0].done() or (await world.database.numbers(WAITING))[0]):
                pass
        return found

    async def work() -> tuple[int, int]:
        async with asyncio.timeout(60):
            return await one(first), await other[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asked, called)
        return world.runner.run(work())


@pytest.fixture
def fleet(world: World) -> Fleet:
    """A fleet `edge`, another one, and a config."""
    fleet = Fleet(world)
    specs = {"listeners/web": LISTENER, "upstreams/api": UPSTREAM, "routes/api": ROUTE}
    for name, spec in specs.items():
        put = world.ask("PUT", f"{W}/resources/{name}", {"spec": spec}, fleet.admin)
        assert put.status == 200, put.text
    assert world.ask("POST", f"{W}/fleets", {"name": "other"}, fleet.admin).status == 201
    return fleet


def test_an_agent_that_moves_serves_what_is_published_at_the_same_moment(fleet: Fleet) -> None:
    admin, world = fleet.admin, fleet.world
    agent = fleet.enrolled(fleet.token()).agent
    move = Request(admin, "PATCH", f"{W}/agents/{agent}", {"fleet": "other"})
    publish = Request(admin, "POST", f"{W}/revisions", {"fleet": "other", "is_served": True})
    asked = f"{DOMAINS}.fleets.store.named"
    assert crossed(world, asked, move, publish) == (200, 201)
    revisions = world.ask("GET", move.path, token=admin).json["revisions"]
    assert isinstance(revisions, dict)
    assert revisions["desired"] == 1


def test_no_agent_moves_to_a_fleet_that_is_removed_at_the_same_moment(fleet: Fleet) -> None:
    admin, world = fleet.admin, fleet.world
    agent = fleet.enrolled(fleet.token()).agent
    move = Request(admin, "PATCH", f"{W}/agents/{agent}", {"fleet": "other"})
    remove = Request(admin, "DELETE", f"{W}/fleets/other")
    asked = f"{DOMAINS}.fleets.store.named"
    assert crossed(world, asked, move, remove) == (422, 204)
    assert world.ask("GET", move.path, token=admin).json["fleet"] == fleet.id


def test_a_change_of_a_draft_that_is_published_is_refused_and_not_lost(fleet: Fleet) -> None:
    admin, world = fleet.admin, fleet.world
    change = {"kind": "upstreams", "name": "api", "spec": UPSTREAM}
    new = {"name": "d", "changes": [change]}
    assert world.ask("POST", f"{W}/drafts", new, admin).status == 201
    publish = Request(admin, "POST", f"{W}/revisions", {"fleet": "edge", "draft": "d"})
    later = {"changes": [change, change | {"name": "b"}]}
    put = Request(admin, "PUT", f"{W}/drafts/d", later)
    asked = f"{DOMAINS}.drafts.store.find"
    # What is published is read twice, and once more in the transaction that publishes it.
    assert crossed(world, asked, publish, put, after=3) == (201, 412)
    assert world.ask("GET", put.path, token=admin).status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_of_two_administrators_who_end_each_other_one_stays(world: World, method: str) -> None:
    ann = world.set_up()
    bob = world.invite(ann, "bob", "admin")
    paths = {str(one["name"]): f"/users/{one['id']}" for one in users(world, ann)}
    suffix, body = ("/role", {"role": "viewer"}) if method == "PUT" else ("", None)
    first = Request(ann, method, paths["bob"] + suffix, body)
    second = Request(bob, method, paths["ann"] + suffix, body)
    asked = f"{DOMAINS}.users.service._refuse_without_admin"
    done = crossed(world, asked, first, second)
    assert done == (200 if method == "PUT" else 204, 409)
    grants = {str(one["name"]): one["grants"] for one in users(world, ann)}
    assert grants["ann"] == [{"workspace": "", "role": "admin"}]


def users(world: World, token: str) -> list[dict[str, object]]:
    """The members of the organisation."""
    return world.ask("GET", "/users", token=token).items
