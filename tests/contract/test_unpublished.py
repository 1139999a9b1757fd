"""Agents that hold revisions which the database does not have: it was restored from a backup."""

import pytest
from master_world import World
from peopled_fleet import Fleet

from headgate.fleet.frames import Fault, Heartbeat, Held, Phase, Version
from headgate.fleet.master_events import AgentReport
from headgate.master.domains.revisions import store
from headgate.master.domains.revisions.types import Revision

LOST = Version(2, "0" * 64)
CONTENTS = {"routes/api.json": b"{}"}


@pytest.fixture
def fleet(world: World) -> Fleet:
    return Fleet(world)


def version(of: Revision) -> Version:
    return Version(of.number, of.hash)


def shown(fleet: Fleet, agent: str) -> dict[str, object]:
    """What is said of an agent's revisions."""
    found = fleet.agent(agent).json["revisions"]
    assert isinstance(found, dict)
    return {name: found[name] for name in ("acknowledged", "applied", "serving")}


def beat(fleet: Fleet, agent: str, held: Held) -> None:
    fleet.world.runner.run(fleet.world.master.book.seen(agent, Heartbeat(held)))


def test_a_lost_revision_is_not_the_one_that_gets_its_number(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    first = version(fleet.published(CONTENTS))
    lost = Held(fleet.id, LOST, LOST, LOST)
    fleet.joined(agent, lost, Fault("config", "no such upstream"), LOST)
    assert shown(fleet, agent) == {"acknowledged": None, "applied": None, "serving": None}
    assert fleet.agent(agent).json["error"] is None
    second = version(fleet.published({"routes/api.json": b"[]"}))
    assert second.revision == LOST.revision
    beat(fleet, agent, lost)
    fleet.report(agent, AgentReport(fleet.id, LOST, Phase.SERVING, lost))
    assert shown(fleet, agent)["serving"] is None
    assert (fleet.agent(agent)["phase"], fleet.events("agents.serving")) == ("", [])
    held = Held(fleet.id, first, LOST, LOST)
    fleet.report(agent, AgentReport(fleet.id, first, Phase.RECEIVED, held))
    assert shown(fleet, agent) == {"acknowledged": 1, "applied": None, "serving": None}
    held = Held(fleet.id, second, second, second)
    fleet.report(agent, AgentReport(fleet.id, second, Phase.SERVING, held))
    assert shown(fleet, agent) == {"acknowledged": 2, "applied": 2, "serving": 2}
    assert len(fleet.events("agents.serving")) == 1


def test_a_lost_revision_that_is_published_again_is_served(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    fleet.published({})
    second = version(fleet.published(CONTENTS))
    world = fleet.world
    world.runner.run(world.database.write(fleet.scope, lambda tx: store.remove_fleet(tx, fleet.id)))
    fleet.published({})
    held = Held(fleet.id, second, second, second)
    fleet.joined(agent, held)
    assert shown(fleet, agent)["serving"] is None
    assert version(fleet.published(CONTENTS)) == second
    assert world.runner.run(world.master.book.desired(agent)) is not None
    beat(fleet, agent, held)
    assert shown(fleet, agent) == {"acknowledged": 2, "applied": 2, "serving": 2}


def test_what_was_published_is_known_also_after_it_was_removed(fleet: Fleet) -> None:
    agent = fleet.enrolled(fleet.token()).agent
    made = [fleet.published({"routes/api.json": body}) for body in (b"{}", b"[]", b"{} ")]
    first, second = version(made[0]), version(made[1])
    world = fleet.world
    world.runner.run(world.database.write(fleet.scope, lambda tx: store.remove(tx, [made[0].id])))
    for _ in range(2):
        fleet.joined(agent, Held(fleet.id, second, second, first))
        assert shown(fleet, agent) == {"acknowledged": 2, "applied": 2, "serving": 1}
    fleet.joined(agent, Held(fleet.id, second, Version(2, first.hash), Version(4, first.hash)))
    assert shown(fleet, agent) == {"acknowledged": 2, "applied": None, "serving": None}
    fleet.joined(agent, Held(fleet.id, second, second, second))
    assert shown(fleet, agent) == {"acknowledged": 2, "applied": 2, "serving": 2}
