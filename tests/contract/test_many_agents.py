"""Many agents that are woken together cost the database as much as a few."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from master_world import World
from peopled_fleet import Fleet

from headgate.fleet.frames import Held, Phase, Version
from headgate.fleet.manifest import parse
from headgate.fleet.master_events import AgentReport, Desired
from headgate.master.domains.agents.store import AgentRow, found
from headgate.master.store.database import Database
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

AGENTS = 40


class Counted:
    """Counts the transactions that read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        read = Database.read

        def counting(database: Database, scope: Scope) -> AbstractAsyncContextManager[Transaction]:
            self.reads += 1
            return read(database, scope)

        monkeypatch.setattr(Database, "read", counting)


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
    counted = Counted(monkeypatch)

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

    async def report(place: int) -> None:
        # Some of them say more than others, and so change other columns.
        phase = Phase.SERVING if place % 2 else Phase.RECEIVED
        held = Held(fleet.id, version, serving=version if place % 2 else None)
        hash_ = f"hash{place}" if place % 4 == 1 else ""
        said = AgentReport(fleet.id, version, phase, held, effective_hash=hash_)
        await book.report(agents[place], said)

    async def everybody() -> dict[str, AgentRow]:
        await asyncio.gather(*(report(place) for place in range(AGENTS)))
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
