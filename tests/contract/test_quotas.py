"""How much a workspace may have, and what who wants more is told; both databases."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import asgi
import pytest
from master_world import LISTENER, PASSWORD, ROUTE, UPSTREAM, Answer, World
from sqlalchemy import Table, delete, event

from headgate.certificates.authority import new_csr, new_key
from headgate.master.api import gate
from headgate.master.api.fairness import Turns
from headgate.master.domains.fleets.store import FLEETS
from headgate.master.domains.revisions import keeping
from headgate.master.domains.revisions.store import BLOBS, REVISIONS
from headgate.master.domains.revisions.sweeping import sweep
from headgate.master.domains.rollouts import store as rollouts
from headgate.master.fleet.book import AgentFacts, EnrolmentRefusedError
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

W = "/workspaces/default"


class Room:
    """A workspace and its administrator."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = world.set_up()
        self.id = world.ask("GET", W, token=self.admin)["id"]

    def allow(self, **limits: int) -> Answer:
        path = f"/organisations/main/workspaces/{self.id}/quotas"
        return self.world.ask("PATCH", path, limits, self.admin)

    def put(self, path: str, spec: object) -> Answer:
        return self.world.ask("PUT", f"{W}/resources/{path}", {"spec": spec}, self.admin)

    def post(self, path: str, body: object) -> Answer:
        return self.world.ask("POST", path, body, self.admin)


async def count(world: World, source: Table) -> int:
    async with world.database.read(MASTER) as tx:
        return await tx.count(source)


@pytest.fixture
def room(world: World) -> Room:
    return Room(world)


def refused(answer: Answer, name: str, most: int) -> None:
    assert (answer.status, answer["type"]) == (403, "urn:headgate:problem:quota"), answer.text
    errors: Any = answer.json["errors"]
    assert [(one["path"], one["allowed"]) for one in errors] == [(name, f"at most {most}")]


def test_quotas_are_shown_with_what_is_used(room: Room) -> None:
    room.post(f"{W}/fleets", {"name": "edge"})
    room.put("routes/a", ROUTE)
    assert room.allow(fleets=3).status == 200
    shown: Any = room.world.ask("GET", f"{W}/quotas", token=room.admin).json
    assert (shown["limits"]["fleets"], shown["version"]) == (3, 1)
    assert shown["limits"]["routes"] > 1_000
    assert shown["used"] == {"routes": 1, "fleets": 1, "agents": 0, "tokens": 0}


def test_more_routes_than_allowed_are_refused_and_other_objects_are_not(room: Room) -> None:
    room.allow(routes=1)
    assert room.put("routes/a", ROUTE).status == 200
    refused(room.put("routes/b", ROUTE), "routes", 1)
    assert room.put("routes/a", ROUTE | {"hosts": ["b.example"]}).status == 200
    assert room.put("upstreams/api", UPSTREAM).status == 200
    room.world.ask("DELETE", f"{W}/resources/routes/a", token=room.admin)
    assert room.put("routes/b", ROUTE).status == 200


def test_a_draft_brings_no_more_routes_than_allowed(room: Room) -> None:
    room.post(f"{W}/fleets", {"name": "edge"})
    for path, spec in (("listeners/web", LISTENER), ("upstreams/api", UPSTREAM)):
        room.put(path, spec)
    changes = [
        {"kind": "routes", "name": name, "spec": ROUTE | {"hosts": [f"{name}.example"]}}
        for name in ("a", "b")
    ]
    room.post(f"{W}/drafts", {"name": "two", "changes": changes})
    room.allow(routes=1)
    refused(room.post(f"{W}/revisions", {"fleet": "edge", "draft": "two"}), "routes", 1)
    assert room.world.ask("GET", f"{W}/resources?kind=routes", token=room.admin).items == []
    room.allow(routes=2)
    assert room.post(f"{W}/revisions", {"fleet": "edge", "draft": "two"}).status == 201


def test_more_fleets_and_tokens_than_allowed_are_refused(room: Room) -> None:
    room.allow(fleets=1, tokens=1)
    assert room.post(f"{W}/fleets", {"name": "one"}).status == 201
    refused(room.post(f"{W}/fleets", {"name": "two"}), "fleets", 1)
    body = {"role": "viewer", "workspace": room.id}
    made = room.post("/tokens", body | {"name": "one"})
    assert made.status == 201, made.text
    refused(room.post("/tokens", body | {"name": "two"}), "tokens", 1)
    assert room.post("/tokens", {"name": "wide", "role": "viewer"}).status == 201
    room.world.ask("DELETE", f"/tokens/{made['id']}", token=room.admin)
    assert room.post("/tokens", body | {"name": "three"}).status == 201


def test_a_node_beyond_the_quota_cannot_enrol(room: Room) -> None:
    room.post(f"{W}/fleets", {"name": "edge"})
    token = room.post(f"{W}/join-tokens", {"fleet": "edge", "uses": 5})["token"]
    room.allow(agents=1)
    world, facts = room.world, AgentFacts("node", "1.0", {})

    def enrol() -> str:
        work = world.master.book.enrol(token, new_csr(new_key()), facts, "192.0.2.7")
        return world.runner.run(work).agent

    first = enrol()
    with pytest.raises(EnrolmentRefusedError) as caught:
        enrol()
    assert caught.value.code == "full"
    room.post(f"{W}/agents/{first}/revocation", None)
    assert enrol() != first


def test_only_the_newest_revisions_are_kept(room: Room) -> None:
    room.post(f"{W}/fleets", {"name": "edge"})
    for path, spec in (
        ("listeners/web", LISTENER),
        ("upstreams/api", UPSTREAM),
        ("routes/api", ROUTE),
    ):
        room.put(path, spec)
    room.allow(revisions=2)
    for _ in range(4):
        assert room.post(f"{W}/revisions", {"fleet": "edge"}).status == 201
    kept = room.world.ask("GET", f"{W}/revisions", token=room.admin).items
    assert [one["number"] for one in kept] == [4, 3]


def test_contents_that_no_revision_names_are_removed_after_a_day(room: Room) -> None:
    world, run = room.world, room.world.runner.run
    for fleet in ("edge", "other"):
        room.post(f"{W}/fleets", {"name": fleet})
    for path, spec in (("listeners/web", LISTENER), ("routes/api", ROUTE)):
        room.put(path, spec)
    room.allow(revisions=2)

    def published(port: int, *fleets: str) -> None:
        room.put("upstreams/api", {"endpoints": [f"127.0.0.1:{port}"]})
        for fleet in fleets:
            made = room.post(f"{W}/revisions", {"fleet": fleet})
            assert made.status == 201, made.text

    published(1, "edge", "other")
    for port in (2, 3, 4):
        published(port, "edge")
    assert run(count(world, BLOBS)) == 2 + 4
    assert run(sweep(world.database, world.now_ms)) == 0, "they are new"
    world.advance(hours=25)
    login = {"name": "ann", "password": PASSWORD}
    room.admin = room.world.ask("POST", "/auth/login", login)["access_token"]
    published(5, "edge")
    assert run(sweep(world.database, world.now_ms)) == 2, "1 is the other fleet's, 4 and 5 are kept"
    assert run(count(world, BLOBS)) == 2 + 3
    assert run(sweep(world.database, world.now_ms)) == 0
    published(2, "edge")
    assert run(count(world, BLOBS)) == 2 + 4, "what was removed is stored again"
    for one in world.ask("GET", f"{W}/revisions", token=room.admin).items:
        shown = world.ask("GET", f"{W}/revisions/{one['id']}/config", token=room.admin)
        assert shown.status == 200, shown.text


def test_what_a_fleet_left_that_was_removed_earlier_is_removed(room: Room) -> None:
    world, run = room.world, room.world.runner.run
    for fleet in ("edge", "other"):
        room.post(f"{W}/fleets", {"name": fleet})
        for path, spec in (("upstreams/api", UPSTREAM), ("listeners/web", LISTENER)):
            room.put(path, spec)
        room.put("routes/api", ROUTE)
        assert room.post(f"{W}/revisions", {"fleet": fleet}).status == 201
        room.post(f"{W}/rollouts", {"fleet": fleet, "revision": 1})
    run(
        world.database.write(
            MASTER, lambda tx: tx.change(delete(FLEETS).where(FLEETS.c.name == "edge"))
        )
    )

    async def forget(tx: Transaction) -> list[int]:
        before = world.now_ms + 1
        of_rollouts = await rollouts.forget_removed(tx, before, 10)
        return [of_rollouts, await keeping.forget_removed(tx, before, 10)]

    assert run(world.database.write(MASTER, forget)) == [1, 1]
    assert run(world.database.write(MASTER, forget)) == [0, 0]
    assert [run(count(world, one)) for one in (rollouts.ROLLOUTS, REVISIONS)] == [1, 1]


def test_too_many_requests_wait(room: Room) -> None:
    room.allow(requests_per_minute=60)
    ask = room.world.ask
    assert {ask("GET", W, token=room.admin).status for _ in range(60)} == {200}
    late = ask("GET", W, token=room.admin)
    assert (late.status, late["type"]) == (429, "urn:headgate:problem:quota")
    assert late.headers["retry-after"] == "1"
    assert "at most 60" in late.text
    # What is not the workspace's goes on, its quotas included.
    assert room.allow(requests_per_minute=120).status == 200
    room.world.advance(ms=500)
    assert ask("GET", W, token=room.admin).status == 200, "a new limit counts at once"


def test_a_workspace_that_asks_too_much_costs_the_others_nothing(room: Room) -> None:
    """By what the database is asked: a time would say more of the machine."""
    ask, path = room.world.ask, "/workspaces/other/resources"
    assert room.post("/organisations/main/workspaces", {"name": "other"}).status == 201
    asked: list[str] = []
    database = room.world.database

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    def cost(method: str, where: str, body: object = None) -> tuple[int, int, bool]:
        asked.clear()
        status = ask(method, where, body, room.admin).status
        wrote = any(one.startswith(("INSERT", "UPDATE", "DELETE")) for one in asked)
        return status, len(asked), wrote

    new = {"spec": ROUTE}
    for one in {database._reader.sync_engine, database._writer.sync_engine}:
        event.listen(one, "before_cursor_execute", count)
    assert room.allow(requests_per_minute=60).status == 200
    served = cost("GET", path)
    assert served[0] == 200
    for number in range(60):
        assert cost("PUT", f"{W}/resources/routes/r{number}", new)[0::2] == (200, True)
    for number in range(60, 160):
        refused = cost("PUT", f"{W}/resources/routes/r{number}", new)
        assert (refused[0], refused[2]) == (429, False), asked
        assert refused[1] < served[1], "it is refused before anything of the workspace is read"
        assert number == 60 or not refused[1], "what was refused is refused again without a read"
        assert cost("GET", path) == served
    assert cost("PUT", f"{path}/routes/a", new)[0] == 200


def test_who_has_to_wait_in_one_workspace_does_not_in_another(room: Room) -> None:
    room.post("/organisations/main/workspaces", {"name": "other"})
    room.allow(requests_per_minute=60)
    ask = room.world.ask
    operator = room.world.invite(room.admin, "oli", "operator")
    refused = {ask("GET", W, token=room.admin).status for _ in range(62)}
    assert refused == {200, 429}
    assert ask("GET", "/workspaces/other", token=room.admin).status == 200
    assert ask("GET", W, token=operator).status == 429
    assert ask("GET", W, token="hgt_wrong").status == 401  # noqa: S106
    room.world.advance(seconds=1)
    statuses = [ask("GET", W, token=one).status for one in (operator, room.admin)]
    assert statuses == [200, 429], "one request a second is the workspace's, not each caller's"


def test_requests_of_one_workspace_wait_in_a_line_that_the_others_do_not_share(room: Room) -> None:
    room.post("/organisations/main/workspaces", {"name": "other"})
    world, ended = room.world, list[str]()

    async def write(workspace: str, name: str) -> None:
        path = f"/api/v1/workspaces/{workspace}/resources/upstreams/{name}"
        headers = {"authorization": f"Bearer {room.admin}", "content-type": "application/json"}
        spec = json.dumps({"spec": UPSTREAM}).encode()
        reply = await asgi.ask(world.app, "PUT", path, spec, headers)
        assert reply.status == 200
        ended.append(workspace)

    async def all_at_once() -> None:
        many = (write("default", f"u{number}") for number in range(60))
        await asyncio.gather(*many, write("other", "u"))

    world.runner.run(all_at_once())
    assert ended.index("other") < 30


class Lines(Turns):
    """Turns that remember who waited in which line."""

    def __init__(self) -> None:
        super().__init__()
        self.joined: list[str] = []

    @contextlib.asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        self.joined.append(key)
        async with super().turn(key):
            yield


def test_requests_outside_of_workspaces_wait_in_a_line_of_their_caller(room: Room) -> None:
    ask = room.world.ask
    other = room.world.invite(room.admin, "eve", "admin")
    ids = [ask("GET", "/auth/me", token=one)["id"] for one in (room.admin, other)]
    room.world.master.turns = lines = Lines()
    for path in ("/users", "/auth/me", "/master/authority"):
        for one in (room.admin, other):
            ask("GET", path, token=one)
    assert lines.joined == [*ids, *ids, ids[0]], "the second one may not see the authority"


def test_requests_outside_of_workspaces_have_a_limit_for_each_caller(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = world.set_up()
    other = world.invite(admin, "eve", "admin")
    monkeypatch.setattr(gate, "PER_MINUTE", 60)
    statuses = [world.ask("GET", path, token=admin).status for path in ["/users", "/tokens"] * 30]
    assert set(statuses) == {200}
    for path in ("/auth/me", "/master/authority"):
        late = world.ask("GET", path, token=admin)
        assert (late.status, late["type"]) == (429, "urn:headgate:problem:quota")
        assert late.headers["retry-after"] == "1"
    assert world.ask("GET", "/users", token=other).status == 200
    assert world.ask("GET", W, token=admin).status == 200
    world.advance(seconds=1)
    assert world.ask("GET", "/users", token=admin).status == 200


def test_only_an_administrator_of_the_organisation_sets_quotas(room: Room) -> None:
    operator = room.world.invite(room.admin, "oli", "operator")
    path = f"/organisations/main/workspaces/{room.id}/quotas"
    assert room.world.ask("PATCH", path, {"fleets": 9}, operator).status == 403
    assert room.world.ask("GET", f"{W}/quotas", token=operator).status == 200
    assert room.allow(fleets=-1).status == 422
    assert room.allow(cats=1).status == 422
    nowhere = "/organisations/main/workspaces/x/quotas"
    assert room.world.ask("PATCH", nowhere, {"fleets": 9}, room.admin).status == 404
    room.allow(fleets=2)
    stale = room.world.ask("PATCH", path, {"fleets": 3}, room.admin, if_match='"7"')
    assert (stale.status, stale.json["current"]["version"]) == (412, 1)  # type: ignore[index]
