"""A fleet of a master in a world: what its agents and its people do."""

import pytest
from master_world import Answer, World

from headgate.certificates.authority import new_csr, new_key
from headgate.fleet.frames import Fault, Held, Hello, Instance, Version
from headgate.fleet.master_events import AgentReport
from headgate.master.access import Caller
from headgate.master.domains.agents.store import AgentRow, find, set_desired
from headgate.master.domains.revisions import service as revisions
from headgate.master.domains.revisions.types import Revision
from headgate.master.fleet.book import AgentFacts, Enrolled, EnrolmentRefusedError
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

W = "/workspaces/default"
HERE = "192.0.2.7"


class Fleet:
    """A fleet `edge` in a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = world.set_up()
        made = world.ask("POST", f"{W}/fleets", {"name": "edge"}, self.admin)
        assert made.status == 201, made.text
        self.id = made["id"]
        found = world.ask("GET", W, token=self.admin)
        self.scope = Scope(found["organisation_id"], found["id"])

    def token(self, **fields: object) -> str:
        """A join token."""
        made = self.world.ask("POST", f"{W}/join-tokens", {"fleet": "edge", **fields}, self.admin)
        assert made.status == 201, made.text
        return made["token"]

    def enrolled(self, token: str, csr: bytes | None = None, address: str = HERE) -> Enrolled:
        """A node that enrolled."""
        facts = AgentFacts("node-1", "1.0", {"zone": "east"})
        work = self.world.master.book.enrol(token, csr or new_csr(new_key()), facts, address)
        return self.world.runner.run(work)

    def refusal(self, token: str, address: str = HERE) -> str:
        """Why a node may not enrol."""
        with pytest.raises(EnrolmentRefusedError) as caught:
            self.enrolled(token, address=address)
        return caught.value.code

    def agent(self, agent_id: str) -> Answer:
        """An agent, as REST shows it."""
        return self.world.ask("GET", f"{W}/agents/{agent_id}", token=self.admin)

    def published(self, contents: dict[str, bytes]) -> Revision:
        """A revision that every agent of the fleet must serve."""
        world = self.world

        async def work(tx: Transaction) -> Revision:
            order = revisions.Order(self.id, Caller(id="a", name="ann"), "m", world.now_ms)
            made = await revisions.publish(tx, order, revisions.Made(contents), world.master.sealer)
            await set_desired(tx, self.id, made.id)
            return made

        return world.runner.run(world.database.write(self.scope, work))

    def events(self, type_: str = "agents") -> list[dict[str, object]]:
        """The events of agents, the oldest first; those of people's changes are left out."""
        found = self.world.ask("GET", f"{W}/events?type={type_}&limit=1000", token=self.admin)
        assert found.status == 200, found.text
        return [one for one in found.items if not one["actor"]]

    def joined(
        self,
        agent_id: str,
        held: Held | None = None,
        fault: Fault | None = None,
        fault_of: Version | None = None,
    ) -> int:
        """The fence of a new session."""
        hello = Hello(
            agent_id,
            1,
            "1.0",
            (Instance("main", "native", "1"),),
            held or Held(),
            fault,
            fault_of=fault_of,
        )
        return self.world.runner.run(self.world.master.book.joined(agent_id, hello, HERE))

    def report(self, agent_id: str, report: AgentReport) -> None:
        """An agent says how far it is, in its newest session; returns once that is written."""
        book = self.world.master.book

        async def said() -> None:
            row = await self._row(agent_id)
            book.reported(agent_id, row.fence, report)
            await book.settled()

        self.world.runner.run(said())

    async def _row(self, agent_id: str) -> AgentRow:
        async with self.world.database.read(MASTER) as tx:
            row = await find(tx, agent_id)
        assert row is not None
        return row
