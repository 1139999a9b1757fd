"""Events are numbered in the order of commits, and followed without holes; both databases."""

import asyncio
import contextlib
import json

import pytest
from asgi import SWITCHED, dialled
from master_world import ROUTE, World
from waiting import until_async

from headgate.master.api.fairness import Places
from headgate.master.domains.events import store
from headgate.master.domains.events.types import News, WorkspaceEvent
from headgate.master.store.scope import Scope
from headgate.master.store.transaction import Transaction

SCOPE = Scope("o" * 26, "w" * 26)


async def append(world: World, name: str) -> None:
    async def work(tx: Transaction) -> None:
        await store.append(tx, "tests.made", name, "me", world.now_ms)

    await world.database.write(SCOPE, work)
    world.master.feeds.tell(SCOPE.workspace_id)


def test_a_change_and_its_event_are_one(world: World) -> None:
    admin = world.set_up()
    path = "/workspaces/default/resources/routes/api"
    assert world.ask("PUT", path, {"spec": ROUTE}, admin).status == 200
    assert world.ask("PUT", path, {"spec": {"no": 1}}, admin).status == 422
    assert world.ask("DELETE", path, token=admin).status == 204
    made = world.ask("GET", "/workspaces/default", token=admin)
    scope = Scope(made["organisation_id"], made["id"])

    async def look() -> list[tuple[int, str, str]]:
        async with world.database.read(scope) as tx:
            return [(one.seq, one.type, one.object) for one in await store.after(tx, 0, 10)]

    full = f"/api/v1{path}"
    assert world.runner.run(look()) == [
        (1, "resources.changed", full),
        (2, "resources.removed", full),
    ]


def test_events_of_many_writers_have_no_holes(world: World) -> None:
    async def run() -> list[int]:
        await append(world, "first")
        await asyncio.gather(*(append(world, str(n)) for n in range(20)))
        async with world.database.read(SCOPE) as tx:
            return [one.seq for one in await store.after(tx, 0, 100)]

    assert world.runner.run(run()) == list(range(1, 22))


def test_the_first_writers_of_a_workspace_may_come_at_once(world: World) -> None:
    async def run() -> list[int]:
        await asyncio.gather(*(append(world, str(n)) for n in range(20)))
        async with world.database.read(SCOPE) as tx:
            return [one.seq for one in await store.after(tx, 0, 100)]

    assert world.runner.run(run()) == list(range(1, 21))


def test_a_feed_hands_out_what_is_written_and_says_what_it_has_not(world: World) -> None:
    async def run() -> None:
        await append(world, "before")
        async with world.master.feeds.watched(SCOPE) as feed:
            assert feed.newest == 1
            assert feed.following(0) is None
            await append(world, "after")
            async with asyncio.timeout(45):
                await feed.more(1)
            assert [seq for seq, _ in feed.following(1) or []] == [2]
            assert feed.following(2) == []

    world.runner.run(run())


def test_events_of_another_master_are_found_without_being_told(world: World) -> None:
    async def run() -> None:
        async with world.master.feeds.watched(SCOPE) as feed:

            async def work(tx: Transaction) -> None:
                await store.append(tx, "tests.made", "x", "", world.now_ms)

            await world.database.write(SCOPE, work)
            await until_async(lambda: feed.newest == 1, "the event")

    world.runner.run(run())


def test_a_look_that_fails_is_not_the_last_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, faults = store.after, [ValueError("a row of a newer master")]

    async def after(tx: Transaction, seq: int, most: int) -> list[WorkspaceEvent]:
        if faults:
            raise faults.pop()
        return await whole(tx, seq, most)

    async def run() -> None:
        async with world.master.feeds.watched(SCOPE) as feed:
            monkeypatch.setattr(store, "after", after)
            await append(world, "one")
            await until_async(lambda: not faults, "a look that fails")
            await append(world, "two")
            await until_async(lambda: feed.newest == 2, "both events")

    world.runner.run(run())


def test_events_are_listed_by_number_type_and_object(world: World) -> None:
    admin = world.set_up()
    made = world.ask("GET", "/workspaces/default", token=admin)
    scope = Scope(made["organisation_id"], made["id"])
    news = [News(type=f"tests.{'even' if n % 2 == 0 else 'odd'}", object=str(n)) for n in range(9)]
    news.append(News(type="others", object="1", detail={"fault": {"line": 3}}))

    async def work(tx: Transaction) -> None:
        await store.append_all(tx, news, world.now_ms)

    world.runner.run(world.database.write(scope, work))

    def seqs(query: str) -> list[object]:
        answer = world.ask("GET", f"/workspaces/default/events?{query}", token=admin)
        assert answer.status == 200, answer.text
        return [one["seq"] for one in answer.items]

    assert seqs("after=7") == [8, 9, 10]
    assert seqs("type=tests.even") == [1, 3, 5, 7, 9]
    assert seqs("type=tests&object=1") == [2]
    assert seqs("type=test") == []
    assert seqs("order=newest&limit=2") == [10, 9]
    page = world.ask("GET", "/workspaces/default/events?order=newest&limit=4", token=admin).json
    assert page["newest"] == 10
    assert seqs(f"order=newest&limit=4&cursor={page['next']}") == [6, 5, 4, 3]
    page = world.ask("GET", "/workspaces/default/events?limit=9", token=admin).json
    (last,) = world.ask(
        "GET", f"/workspaces/default/events?cursor={page['next']}", token=admin
    ).items
    assert last["detail"] == {"fault": {"line": 3}}
    for query in ("cursor=eA==", "after=-1", "order=best", "what=1"):
        refused = world.ask("GET", f"/workspaces/default/events?{query}", token=admin)
        assert refused.status == 422


def test_what_is_not_kept_any_more_shows_as_a_gap(world: World) -> None:
    admin = world.set_up()
    made = world.ask("GET", "/workspaces/default", token=admin)
    scope = Scope(made["organisation_id"], made["id"])

    news = [News(type="tests.made", object="x")] * 501

    async def fill() -> None:
        for _ in range(21):
            await world.database.write(scope, lambda tx: store.append_all(tx, news, 1))

    world.runner.run(fill())
    page = world.ask("GET", "/workspaces/default/events?after=5&limit=1", token=admin).json
    assert page["newest"] == 21 * 501
    assert page["gap"] == {"from": 6, "to": 521}
    assert page["items"][0]["seq"] == 522  # type: ignore[index]
    assert world.ask("GET", "/workspaces/default/events?limit=1", token=admin).json["gap"] is None


def test_what_is_gone_between_two_parts_of_a_list_shows_as_a_gap(world: World) -> None:
    admin = world.set_up()
    made = world.ask("GET", "/workspaces/default", token=admin)
    scope = Scope(made["organisation_id"], made["id"])
    news = [News(type="tests.made", object="x")] * 501
    events = "/workspaces/default/events?limit=3"

    async def fill(times: int) -> None:
        for _ in range(times):
            await world.database.write(scope, lambda tx: store.append_all(tx, news, 1))

    world.runner.run(fill(1))
    first = world.ask("GET", events, token=admin).json
    assert (first["gap"], first["items"][-1]["seq"]) == (None, 3)  # type: ignore[index]
    world.runner.run(fill(20))
    second = world.ask("GET", f"{events}&cursor={first['next']}", token=admin).json
    assert second["gap"] == {"from": 4, "to": 521}
    assert second["items"][0]["seq"] == 522  # type: ignore[index]
    third = world.ask("GET", f"{events}&cursor={second['next']}", token=admin).json
    assert third["gap"] is None
    newest = world.ask("GET", f"{events}&after=5&order=newest", token=admin).json
    assert newest["gap"] == {"from": 6, "to": 521}
    further = f"{events}&after=5&order=newest&cursor={newest['next']}"
    assert world.ask("GET", further, token=admin).json["gap"] is None, "it was told before"


def test_watchers_have_so_many_places_and_each_caller_some_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = world.set_up()
    others = [world.invite(admin, name, "viewer") for name in ("bob", "eve")]
    monkeypatch.setattr(world.master.sockets, "watchers", Places(3, 2))

    async def watched(stack: contextlib.AsyncExitStack, token: str) -> tuple[int, bytes]:
        headers = {"authorization": f"Bearer {token}"}
        path = "/api/v1/events?workspace=default"
        socket = await stack.enter_async_context(dialled(world.app, path, headers))
        return socket.status, socket.body

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2):
                assert (await watched(stack, admin))[0] == SWITCHED
            status, body = await watched(stack, admin)
            assert (status, json.loads(body)["type"]) == (429, "urn:headgate:problem:throttled")
            assert (await watched(stack, others[0]))[0] == SWITCHED
            assert (await watched(stack, others[1]))[0] == 503
        async with contextlib.AsyncExitStack() as stack:
            assert (await watched(stack, admin))[0] == SWITCHED

    world.runner.run(run())
