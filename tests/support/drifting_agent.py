"""An agent with an nginx that drifts, as its master's book sees it."""

import json
from collections.abc import Coroutine
from typing import Any, TypeVar

from master_world import Answer, World
from said_agent import W

from headgate.certificates.authority import new_csr, new_key
from headgate.fleet.drift import Drift
from headgate.fleet.frames import Heartbeat, Held, Hello, Instance
from headgate.fleet.orders import DRIFT_POLICY, HEAL, OrderBody
from headgate.master.fleet.book import AgentFacts

T = TypeVar("T")
BOTH = (DRIFT_POLICY, HEAL)


class Node:
    """An agent with an nginx, as its master's book sees it."""

    def __init__(self, world: World, admin: str, orders: tuple[str, ...] = BOTH) -> None:
        self.world = world
        self.admin = admin
        token = world.ask("POST", f"{W}/join-tokens", {"fleet": "edge"}, admin)["token"]
        facts = AgentFacts("node-1", "1.0", {})
        csr = new_csr(new_key())
        self.id = self.run(world.master.book.enrol(token, csr, facts, "192.0.2.7")).agent
        self.join(orders)

    def join(self, orders: tuple[str, ...] = BOTH) -> None:
        """Begins a session."""
        hello = Hello(self.id, 1, "1.0", (Instance("main", "nginx", "nginx/1.27"),), orders=orders)
        self.run(self.world.master.book.joined(self.id, hello, "192.0.2.7"))

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Does work of the master's."""
        return self.world.runner.run(work)

    def says(self, drift: Drift) -> None:
        """Tells of drift with a heartbeat."""
        self.run(self.world.master.book.seen(self.id, Heartbeat(Held(), drift=drift)))

    def ordered(self) -> tuple[OrderBody, ...] | None:
        """What its master orders it now."""
        self.run(self.world.master.book.desired(self.id))
        found = self.run(self.world.master.book.orders(self.id))
        return None if found is None else found.bodies

    def ask(self, method: str = "GET", what: str = "drift") -> Answer:
        """What REST says of its drift, or answers to an order."""
        return self.world.ask(method, f"{W}/agents/{self.id}/{what}", None, self.admin)

    def shown(self) -> Any:
        """Its drift, as REST shows it."""
        return json.loads(self.ask().text)

    def policy(self, policy: str, **more: object) -> None:
        """Changes the policy of its fleet."""
        body = {"policies": {"drift": policy, **more}}
        done = self.world.ask("PATCH", f"{W}/fleets/edge", body, self.admin)
        assert done.status == 200, done.text

    def events(self) -> list[dict[str, object]]:
        """The events of drift."""
        found = self.world.ask("GET", f"{W}/events?type=agents.drift", token=self.admin)
        details: list[Any] = [one["detail"] for one in found.items]
        return details
