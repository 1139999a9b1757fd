"""An agent that enrolled in a master of `master_world`, and says what it was given."""

from collections.abc import Coroutine
from typing import TypeVar

from master_world import World

from headgate.certificates.authority import new_csr, new_key
from headgate.fleet.frames import Heartbeat, Held, Hello, Identity
from headgate.master.fleet.book import AgentFacts
from headgate.node.agent.saying import said_of
from headgate.providers.master.identity import Identity as Kept

T = TypeVar("T")
W = "/workspaces/default"


class Agent:
    """An agent that says what it was given."""

    def __init__(self, world: World, admin: str) -> None:
        self.world = world
        self.key = new_key()
        token = world.ask("POST", f"{W}/join-tokens", {"fleet": "edge"}, admin)["token"]
        facts = AgentFacts("node-1", "1")
        self.given = self.run(world.master.book.enrol(token, new_csr(self.key), facts, ""))
        self.id = self.given.agent
        hello = Hello(self.id, 1, "1", identity=self.said())
        self.run(world.master.book.joined(self.id, hello, ""))

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self.world.runner.run(work)

    def said(self) -> Identity:
        """Its pins and its serial number."""
        trusted, leaf = self.given.authorities_pem.decode(), self.given.certificate_pem.decode()
        found = said_of(Kept(self.id, "", leaf, trusted, ()))
        assert found is not None
        return found

    def beat(self) -> None:
        """A heartbeat."""
        beat = Heartbeat(Held(), identity=self.said())
        self.run(self.world.master.book.seen(self.id, beat))

    def renew(self) -> None:
        self.given = self.run(self.world.master.book.renew(self.id, new_csr(self.key)))
