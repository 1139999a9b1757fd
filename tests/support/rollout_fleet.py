"""A fleet of rows whose agents do what they are told when a test asks, and the driver of its
rollouts."""

from collections.abc import Iterable

from master_world import Answer, World
from sqlalchemy import update

from headgate.master.access import Caller
from headgate.master.domains.agents import store as agents
from headgate.master.domains.events.store import EVENTS
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.revisions import service as revisions
from headgate.master.domains.rollouts.driver import Driver
from headgate.master.domains.rollouts.driver import World as Driven
from headgate.master.domains.rollouts.figures import Figures
from headgate.master.store.leases import RowLeases
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

BASE = "/workspaces/default/rollouts"
_QUICK = {"waves": ["1", "50%"], "soak_s": 30, "gates": {"min_requests": 10}}


class SilentHub:
    """A hub that keeps whom it was to wake; `here` have their session with its master."""

    def __init__(self) -> None:
        self.woken: set[str] = set()
        self.here: frozenset[str] = frozenset()

    def wake(self, agent_ids: Iterable[str]) -> None:
        self.woken |= set(agent_ids)

    def connected(self) -> frozenset[str]:
        return self.here

    def cut(self, agent_id: str) -> None:
        raise AssertionError(agent_id)


class Fleet:
    """Four agents and two published revisions; the agents do what they are told when asked."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.token = world.set_up()
        made = world.ask("POST", "/workspaces/default/fleets", {"name": "edge"}, self.token)
        assert made.status == 201, made.text
        self.id = made["id"]
        self.names = [f"agent{number}".ljust(26, "0") for number in range(4)]
        self.errors_of: dict[str, float] = {}
        self.refusing = ""
        self.quarantining = ""
        self.hub = SilentHub()
        self.hub.here = frozenset(self.names)
        self.figures = Figures()
        self.served = dict.fromkeys(self.names, 0.0)
        self.failed = dict.fromkeys(self.names, 0.0)
        world.runner.run(world.database.write(MASTER, self._make))
        self.driver = self.new_driver("first")

    def new_driver(self, holder: str) -> Driver:
        database, feeds = self.world.database, self.world.master.feeds
        leases = RowLeases(database, self._now)
        driven = Driven(database, leases, self.hub, feeds, self.figures, self._now)
        return Driver(driven, holder)

    def _now(self) -> int:
        return self.world.now_ms

    async def _make(self, tx: Transaction) -> None:
        row = await fleets.find(tx, self.id)
        assert row is not None
        self.scope = Scope(row.organisation_id, row.workspace_id)
        mine = tx.within(self.scope)
        for number in (1, 2, 3):
            order = revisions.Order(self.id, Caller(id="u", name="ann"), "", self.world.now_ms)
            contents = {"upstreams/api.json": b'{"endpoints":["127.0.0.1:%d"]}' % number}
            await revisions.publish(mine, order, revisions.Made(contents), self.world.master.sealer)
        for name in self.names:
            values: dict[str, object] = {"id": name, "fleet": self.id, "name": name, "token": "t"}
            values |= {"labels": "{}", "key_hash": "k", "created_at": 1}
            await agents.insert(mine, values | {"certificate_expires_at": 1})

    def begin(self, revision: int, **more: object) -> str:
        made = self.ask_for(revision, **more)
        assert made.status == 201, made.text
        return made["id"]

    def ask_for(self, revision: int, **more: object) -> Answer:
        """Asks for a rollout."""
        body = {"fleet": "edge", "revision": revision} | _QUICK | more
        return self.world.ask("POST", BASE, body, self.token)

    def shown(self, rollout: str) -> Answer:
        return self.world.ask("GET", f"{BASE}/{rollout}", token=self.token)

    def order(self, rollout: str, verb: str) -> Answer:
        return self.world.ask("POST", f"{BASE}/{rollout}/orders", {"verb": verb}, self.token)

    def live(self, seconds: int, driver: Driver | None = None) -> None:
        """Lets time pass in steps of 5 s: agents obey and report, the driver ticks."""
        for _ in range(seconds // 5):
            self.world.advance(seconds=5)
            self.world.runner.run(self.world.database.write(self.scope, self._obey))
            self.world.runner.run((driver or self.driver).tick())

    async def _obey(self, tx: Transaction) -> None:
        for name in self.names:
            row = await agents.find(tx, name)
            assert row is not None
            values: dict[str, object] = {"acknowledged": row.desired, "held_scope": self.id}
            if row.desired == 2 and name == self.refusing:
                error = '{"revision":2,"code":"c","text":"no such file","is_transient":false,'
                values["error"] = error + '"object":"upstreams/api.json","file":"","line":0}'
            else:
                values |= {"serving": row.desired, "applied": row.desired, "error": None}
            if row.desired == 2 and name == self.quarantining:
                error = '{"revision":2,"code":"quarantined","text":"serving with 1 quarantined",'
                error += '"is_transient":false,"object":"upstreams/api","file":"","line":0}'
                values["error"] = error
            now = self.world.now_ms
            where = agents.AGENTS.c.id == name
            await tx.change(
                update(agents.AGENTS).where(where).values(connected_at=now, seen_at=now, **values)
            )
            self.served[name] += 100.0
            self.failed[name] += 100.0 * (self.errors_of.get(name, 0.0) if row.desired == 2 else 0)
            figures = {"requests": self.served[name], "errors": self.failed[name]}
            self.heard(name, figures | {"latency_p99_ms": 5.0})

    def heard(self, name: str, figures: dict[str, float]) -> None:
        """The master of the driver hears what an agent measured."""
        self.figures.add(name, self._now() / 1000, figures)

    async def events_of(self, kind: str) -> int:
        """How many events of a kind there are."""
        async with self.world.database.read(self.scope) as tx:
            return await tx.count(EVENTS, EVENTS.c.type == kind)

    def serving(self) -> list[str]:
        page = self.world.ask("GET", "/workspaces/default/agents", token=self.token)
        return sorted(str(one["revisions"]["serving"]) for one in page.items)  # type: ignore[index]
