"""Many agents that are woken together cost the database as much as a few."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from master_world import World
from peopled_fleet import HERE, Fleet
from sqlalchemy import event

from headgate.fleet.frames import Heartbeat, Held, Hello, Phase, Version
from headgate.fleet.manifest import parse
from headgate.fleet.master_events import AgentReport, Desired
from headgate.master.domains.agents.store import AgentRow, found
from headgate.master.fleet.book import UnavailableError
from headgate.master.store.database import Database, Work
from headgate.master.store.errors import StoreUnavailableError
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

AGENTS = 40


class Counted:
    """Counts the transactions that read, and the statements of those that write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
        self.reads = 0
        self.written: list[str] = []
        read = Database.read

        def counting(database: Database, scope: Scope) -> AbstractAsyncContextManager[Transaction]:
            self.reads += 1
            return read(database, scope)

        monkeypatch.setattr(Database, "read", counting)
        event.listen(database._writer.sync_engine, "before_cursor_execute", self._see)

    def _see(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        self.written.append(statement)

    def changes(self) -> int:
        """How many statements changed rows of agents."""
        return sum(one.startswith("UPDATE agents") for one in self.written)


@pytest.fixture
def fleet(world: World) -> Fleet:
    return Fleet(world)


def test_what_many_agents_are_to_serve_is_read_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = fleet.token(uses=AGENTS)
    agents = [fleet.enrolled(token).agent for _ in range(AGENTS)]
    contents = {f"routes/r{number}.json": b"%d" % number for number in range(30)}
    fleet.published(contents)
    master = fleet.world.master
    counted = Counted(monkeypatch, fleet.world.database)

    async def everybody() -> tuple[list[Desired | None], list[dict[str, bytes]]]:
        wanted = await asyncio.gather(*(master.book.desired(one) for one in agents))
        assert wanted[0] is not None
        hashes = [entry.sha256 for entry in parse(wanted[0].manifest).entries]
        shelf = master.hub.shelf
        looks = (shelf.blobs(master.book, one, hashes) for one in agents)
        return wanted, await asyncio.gather(*looks)

    wanted, blobs = fleet.world.runner.run(everybody())
    assert [one.version.revision if one else 0 for one in wanted] == [1] * AGENTS
    assert [sorted(one.values()) for one in blobs] == [sorted(contents.values())] * AGENTS
    # The rows, the revision, and what binds it; the row of who asks first for blobs, and those.
    assert counted.reads <= 5, counted.reads


def test_reports_of_many_agents_are_kept_of_each(fleet: Fleet) -> None:
    token = fleet.token(uses=AGENTS)
    agents = [fleet.enrolled(token).agent for _ in range(AGENTS)]
    fences = [fleet.joined(one) for one in agents]
    revision = fleet.published({"routes/a.json": b"a"})
    version = Version(revision.number, revision.hash)
    book, database = fleet.world.master.book, fleet.world.database

    def report(place: int) -> None:
        # Some of them say more than others, and so change other columns.
        phase = Phase.SERVING if place % 2 else Phase.RECEIVED
        held = Held(fleet.id, version, serving=version if place % 2 else None)
        hash_ = f"hash{place}" if place % 4 == 1 else ""
        said = AgentReport(fleet.id, version, phase, held, effective_hash=hash_)
        book.reported(agents[place], fences[place], said)

    async def everybody() -> dict[str, AgentRow]:
        for place in range(AGENTS):
            report(place)
        await book.settled()
        async with database.read(MASTER) as tx:
            return await found(tx, agents)

    rows = fleet.world.runner.run(everybody())
    for place, agent in enumerate(agents):
        row = rows[agent]
        is_serving = place % 2 == 1
        assert row.fence == fences[place]
        assert (row.acknowledged, row.serving) == (1, 1 if is_serving else None)
        assert row.phase == ("serving" if is_serving else "received")
        assert row.effective_hash == (f"hash{place}" if place % 4 == 1 else "")


def test_agents_that_say_the_same_share_statements(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = fleet.token(uses=AGENTS)
    agents = [fleet.enrolled(token).agent for _ in range(AGENTS)]
    fences = [fleet.joined(one) for one in agents]
    revision = fleet.published({"routes/a.json": b"a"})
    version = Version(revision.number, revision.hash)
    world, book = fleet.world, fleet.world.master.book
    counted = Counted(monkeypatch, world.database)

    async def reported(phase: Phase, held: Held) -> int:
        counted.written.clear()
        for agent, fence in zip(agents, fences, strict=True):
            world.advance(ms=1)
            book.reported(agent, fence, AgentReport(fleet.id, version, phase, held))
        await book.settled()
        return counted.changes()

    async def beaten(held: Held) -> int:
        counted.written.clear()
        for agent, fence in zip(agents, fences, strict=True):
            world.advance(ms=1)
            book.beaten(agent, fence, Heartbeat(held))
        await book.settled()
        return counted.changes()

    taken = Held(fleet.id, version)
    assert world.runner.run(reported(Phase.RECEIVED, taken)) == 1
    assert world.runner.run(beaten(taken)) == 1
    (change,) = (one for one in counted.written if one.startswith("UPDATE agents"))
    assert change.startswith("UPDATE agents SET seen_at=") and change.count("=") == 1, change
    shown = [fleet.agent(one).json for one in agents]
    assert {one["phase"] for one in shown} == {"received"}
    assert {one["seen_at"] for one in shown} == {shown[0]["seen_at"]}


class Away:
    """A store that takes nothing for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_away = False
        self.refused = 0
        write = Database.write

        async def writing(database: Database, scope: Scope, work: Work[object]) -> object:
            if self.is_away:
                self.refused += 1
                raise StoreUnavailableError("the disk is full")
            return await write(database, scope, work)

        monkeypatch.setattr(Database, "write", writing)


def test_what_nobody_waits_for_outlasts_a_store_that_is_away(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = fleet.token(uses=3)
    stays, leaves, returns = agents = [fleet.enrolled(token).agent for _ in range(3)]
    fences = dict(zip(agents, (fleet.joined(one) for one in agents), strict=True))
    revision = fleet.published({"routes/a.json": b"a"})
    version = Version(revision.number, revision.hash)
    book, away = fleet.world.master.book, Away(monkeypatch)

    def say(agent: str, phase: Phase, held: Held) -> None:
        book.reported(agent, fences[agent], AgentReport(fleet.id, version, phase, held))

    async def scenario() -> None:
        away.is_away = True
        for agent in agents:
            say(agent, Phase.RECEIVED, Held(fleet.id, version))
        with pytest.raises(UnavailableError):
            await book.settled()
        say(stays, Phase.SERVING, Held(fleet.id, version, version, version))
        with pytest.raises(UnavailableError):
            await book.left(leaves, fences[leaves])
        away.is_away = False
        # It has lost what it took before.
        newer = await book.joined(returns, Hello(returns, 2, "1.0", ()), HERE)
        assert newer > fences[returns]
        await book.settled()

    fleet.world.runner.run(scenario())
    shown = {one: fleet.agent(one).json for one in agents}
    assert shown[stays]["phase"] == "serving"
    assert shown[stays]["revisions"]["serving"] == 1  # type: ignore[index]
    assert shown[leaves]["phase"] == ""
    assert shown[returns]["revisions"]["acknowledged"] is None  # type: ignore[index]
    told = {(one["type"], one["object"]) for one in fleet.events()}
    reported = {one for one in told if one[0] not in ("agents.connected", "agents.failing")}
    assert reported == {("agents.serving", stays), ("agents.received", returns)}


def test_what_a_session_said_before_a_newer_one_is_dropped(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    revision = fleet.published({"routes/a.json": b"a"})
    version = Version(revision.number, revision.hash)
    old = fleet.joined(agent)
    fleet.joined(agent, Held(fleet.id, version, version, version))
    book = fleet.world.master.book

    async def late() -> None:
        book.reported(agent, old, AgentReport(fleet.id, version, Phase.RECEIVED, Held(fleet.id)))
        book.beaten(agent, old, Heartbeat(Held(fleet.id)))
        await book.settled()

    fleet.world.runner.run(late())
    shown = fleet.agent(agent).json
    assert shown["phase"] == ""
    assert shown["revisions"]["serving"] == 1  # type: ignore[index]
    assert not fleet.events("agents.received")


def test_what_a_database_refuses_of_one_agent_keeps_nothing_of_others(fleet: Fleet) -> None:
    token = fleet.token(uses=5)
    agents = [fleet.enrolled(token).agent for _ in range(5)]
    odd = agents[2]
    fences = {one: fleet.joined(one) for one in agents}
    revision = fleet.published({"routes/a.json": b"a"})
    version = Version(revision.number, revision.hash)
    book = fleet.world.master.book

    async def everybody() -> int:
        for agent in agents:
            # PostgreSQL has no text with NUL, and neither has numbers of more than 64 bits.
            hash_ = "a\0b" if agent == odd else "hash"
            held = Held(fleet.id, Version(1 << 63, "") if agent == odd else version)
            said = AgentReport(fleet.id, version, Phase.SERVING, held, effective_hash=hash_)
            book.reported(agent, fences[agent], said)
        returned = book.joined(agents[0], Hello(agents[0], 2, "1.0", ()), HERE)
        fence = (await asyncio.gather(returned, book.left(agents[1], fences[agents[1]])))[0]
        await book.settled()
        return fence

    assert fleet.world.runner.run(everybody()) > fences[agents[0]]
    shown = {one: fleet.agent(one).json for one in agents}
    assert [one for one in agents if shown[one]["phase"] == "serving"] == [
        one for one in agents if one != odd
    ]
    assert shown[agents[1]]["state"] == "away"
    fleet.report(odd, AgentReport(fleet.id, version, Phase.SERVING, Held(fleet.id, version)))
    assert fleet.agent(odd).json["phase"] == "serving"


def test_who_says_what_a_database_refuses_does_not_come_in(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    book = fleet.world.master.book
    hello = Hello(agent, 1, "1.0", (), Held(fleet.id, Version(1 << 63, "")))
    with pytest.raises(UnavailableError):
        fleet.world.runner.run(book.joined(agent, hello, HERE))
    assert fleet.joined(agent) > 0


def test_the_end_of_a_session_forgets_nothing_of_a_newer_one(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    world, book = fleet.world, fleet.world.master.book
    woken: list[str] = []
    book.wake = woken.append
    fences = [fleet.joined(agent), fleet.joined(agent)]

    def publish(content: bytes) -> list[str]:
        """Whom the next heartbeat wakes after a publication."""
        fleet.published({"routes/a.json": content})
        woken.clear()

        async def beaten() -> None:
            book.beaten(agent, fences[1], Heartbeat(Held()))
            await book.settled()

        world.runner.run(beaten())
        return list(woken)

    fleet.published({"routes/a.json": b"a"})
    world.runner.run(book.desired(agent))
    world.runner.run(book.left(agent, fences[0]))
    assert publish(b"b") == [agent]
    world.runner.run(book.left(agent, fences[1]))
    assert publish(b"c") == []
