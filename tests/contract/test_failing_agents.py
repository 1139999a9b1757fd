"""Agents whose control process fails at each start, on a real store."""

from typing import Any

import pytest
from master_world import World

from headgate.certificates.authority import new_csr, new_key
from headgate.fleet.frames import FAILING_STARTS, Heartbeat, Held, Hello
from headgate.master.fleet.book import AgentFacts

_W = "/workspaces/default"


class Node:
    """A node that enrolled, as its master sees it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = world.set_up()
        world.ask("POST", f"{_W}/fleets", {"name": "edge"}, self.admin)
        token = world.ask("POST", f"{_W}/join-tokens", {"fleet": "edge"}, self.admin)["token"]
        work = world.master.book.enrol(
            token, new_csr(new_key()), AgentFacts("node-1", "1.0", {}), "192.0.2.7"
        )
        self.id = world.runner.run(work).agent

    def joined(self, failed_starts: int) -> int:
        """The fence of a new session."""
        hello = Hello(self.id, 1, "1.0", failed_starts=failed_starts)
        return self.world.runner.run(self.world.master.book.joined(self.id, hello, "192.0.2.7"))

    def left(self, fence: int) -> None:
        self.world.runner.run(self.world.master.book.left(self.id, fence))

    def beats(self) -> None:
        self.world.runner.run(self.world.master.book.seen(self.id, Heartbeat(Held())))

    def shown(self) -> Any:
        """The agent, as REST shows it."""
        return self.world.ask("GET", f"{_W}/agents/{self.id}", token=self.admin).json

    def told(self) -> list[Any]:
        """What events said of its failing."""
        path = f"{_W}/events?type=agents.failing&limit=1000"
        return [one["detail"] for one in self.world.ask("GET", path, token=self.admin).items]


@pytest.fixture
def node(world: World) -> Node:
    return Node(world)


def test_an_agent_that_fails_at_each_start_is_told_apart_here_and_away(node: Node) -> None:
    fence = node.joined(FAILING_STARTS - 1)
    assert (node.shown()["state"], node.shown()["failing"]) == ("connected", None)
    node.left(fence)
    fence = node.joined(FAILING_STARTS)
    shown = node.shown()
    assert (shown["state"], shown["failing"]["starts"]) == ("failing", FAILING_STARTS)
    node.left(fence)
    assert node.shown()["state"] == "failing"
    node.world.advance(minutes=10)
    node.joined(FAILING_STARTS + 1)
    assert node.shown()["failing"] == shown["failing"] | {"starts": FAILING_STARTS + 1}
    assert [one["starts"] for one in node.told()] == [FAILING_STARTS]


def test_one_that_stays_has_mended(node: Node) -> None:
    node.joined(7)
    node.world.advance(seconds=50)
    node.beats()
    assert node.shown()["state"] == "failing"
    node.world.advance(seconds=11)
    node.beats()
    assert (node.shown()["state"], node.shown()["failing"]) == ("connected", None)


def test_one_that_starts_after_an_orderly_end_has_mended(node: Node) -> None:
    node.left(node.joined(7))
    node.joined(0)
    assert node.shown()["state"] == "connected"
