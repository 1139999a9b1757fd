"""Searches of logs of agents that have their session with another master of the database."""

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from master_world import World
from said_agent import W
from searched_node import Node, lines
from sqlalchemy import select

from headgate.master.domains.logs import relaying, service, store
from headgate.master.domains.logs.store import ANSWERS, ASKS
from headgate.master.services import Master, assembled
from headgate.master.store.scope import MASTER

# SQLite has one master alone.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


class Masters:
    """Two masters on one database; `far` has a node."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = world.set_up()
        assert world.ask("POST", f"{W}/fleets", {"name": "edge"}, self.admin).status == 201
        self.other: Master = assembled(world.database, world.master.sealer, lambda: world.now_ms)
        parts = SimpleNamespace(master=self.other, runner=world.runner, ask=world.ask)
        self.far = Node(cast(World, parts), self.admin, "far")
        self.near = Node(world, self.admin, "near")
        self.task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """The other master answers from now on."""

        async def spawned() -> asyncio.Task[None]:
            return asyncio.create_task(self.other.relay.run())

        self.task = self.world.runner.run(spawned())

    def end(self) -> None:
        async def ended(task: asyncio.Task[None]) -> None:
            task.cancel()
            await asyncio.wait([task])

        if self.task is not None:
            self.world.runner.run(ended(self.task))

    def search(self, **query: object) -> Any:
        answer = self.world.ask("POST", f"{W}/fleets/edge/logs", query, self.admin)
        assert answer.status == 200, answer.text
        return json.loads(answer.text)

    def rows(self) -> list[str]:
        """What is asked, or answered, and was not removed."""

        async def read() -> list[str]:
            async with self.world.database.read(MASTER) as tx:
                found = await tx.texts(select(ASKS.c.search))
                return found + await tx.texts(select(ANSWERS.c.found))

        return self.world.runner.run(read())


@pytest.fixture
def masters(world: World) -> Iterator[Masters]:
    found = Masters(world)
    yield found
    found.end()


def states(found: Any) -> dict[str, str]:
    return {one["name"]: one["state"] for one in found["agents"]}


def test_an_agent_of_another_master_is_searched_through_it(masters: Masters) -> None:
    now = masters.world.now_ms
    masters.far.reply = lines((now - 1, "newest"), (now - 3, "oldest"))
    masters.near.reply = lines((now - 2, "middle"))
    masters.far.connect()
    masters.near.connect()
    masters.begin()
    found = masters.search(text="e", limit=50)
    assert [line["text"] for line in found["lines"]] == ["newest", "middle", "oldest"]
    assert states(found) == {"far": "searched", "near": "searched"}
    assert [(one.text, one.limit) for one in masters.far.searches] == [("e", 50)]
    assert masters.rows() == []
    found = masters.search(limit=1)
    assert ([line["text"] for line in found["lines"]], states(found)["far"]) == (["newest"], "cut")


def test_what_an_agent_of_another_master_cannot_do_is_said(masters: Masters) -> None:
    masters.far.connect(orders=())
    masters.begin()
    assert states(masters.search()) == {"far": "older", "near": "away"}


def test_an_agent_that_no_master_answers_for_is_silent(
    masters: Masters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "_WAIT_S", 0.5)
    masters.far.connect()
    found = masters.search()
    assert states(found) == {"far": "silent", "near": "away"}
    assert masters.rows() == []


def test_agents_of_all_masters_share_the_bound_of_a_search(
    masters: Masters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_ASKED", 1)
    masters.near.connect()
    masters.far.connect()
    masters.begin()
    assert states(masters.search()) == {"far": "unasked", "near": "searched"}
    assert masters.far.searches == []


def test_what_is_asked_and_found_is_sealed_and_swept(
    masters: Masters, monkeypatch: pytest.MonkeyPatch
) -> None:
    masters.far.connect()
    masters.far.reply = lines((masters.world.now_ms, "a line of somebody"))
    forget = store.forget

    async def kept(tx: Any, ask: str) -> None:
        del tx, ask  # as a master does that dies

    monkeypatch.setattr(store, "forget", kept)
    masters.begin()
    assert states(masters.search(text="somebody"))["far"] == "searched"
    rows = masters.rows()
    assert (len(rows), [one for one in rows if "somebody" in one]) == (2, [])
    monkeypatch.setattr(store, "forget", forget)
    masters.world.advance(minutes=11)
    masters.world.runner.run(masters.other.relay.sweep())
    assert masters.rows() == []
