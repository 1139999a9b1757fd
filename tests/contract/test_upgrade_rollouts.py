"""Upgrades of agents on a real store: the orders that agents get through the book, what they say,
and the rollout that follows from it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar

import pytest
from master_world import Answer, World

from headgate.fleet.frames import Heartbeat, Held, Hello, UpgradeEnded
from headgate.fleet.orders import Upgrade
from headgate.master.domains.agents import store as agents
from headgate.master.domains.agents import writing
from headgate.master.domains.events.store import EVENTS
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.rollouts.driver import Driver
from headgate.master.domains.rollouts.driver import World as Driven
from headgate.master.domains.rollouts.figures import Figures
from headgate.master.store.leases import RowLeases
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

_BASE = "/workspaces/default/rollouts"
T = TypeVar("T")
Work: TypeAlias = Callable[[Transaction], Awaitable[T]]
_OLD, _NEW = "1.0.0", "2.0.0"


class UndoneError(Exception):
    """A transaction is undone, and is carried out again."""


class Node:
    """A node: it obeys each order once, in the step of time after it came."""

    def __init__(self, name: str, *, can_upgrade: bool = True) -> None:
        self.name = name
        self.can_upgrade = can_upgrade
        self.program = _OLD
        self.fence = 0
        self.order: Upgrade | None = None
        self.orders: list[Upgrade] = []
        self.ended: UpgradeEnded | None = None
        self.fails = ""
        self.never_returns = False
        self.is_gone = False

    def obey(self) -> bool:
        """Whether it comes back with a new session."""
        order, self.order = self.order, None
        if order is None or (self.ended is not None and order.order <= self.ended.order):
            return False
        self.orders.append(order)
        if order.program == self.program:
            self.ended = UpgradeEnded(order.order, order.program, "")
            return False
        if self.fails:
            self.ended = UpgradeEnded(order.order, order.program, self.fails)
            return False
        self.program, self.is_gone = order.program, self.never_returns
        self.ended = UpgradeEnded(order.order, order.program, "")
        return True


class Fleet:
    """Three nodes that can upgrade and one that cannot."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.token = world.set_up()
        made = world.ask("POST", "/workspaces/default/fleets", {"name": "edge"}, self.token)
        self.id = made["id"]
        self.nodes = {
            name: Node(name, can_upgrade=number < 3)
            for number, name in enumerate(f"agent{n}".ljust(26, "0") for n in range(4))
        }
        self.figures = Figures()
        self.served = 0.0
        self.master = world.master
        self.master.book.upgrade = self._ordered
        world.runner.run(world.database.write(MASTER, self._make))
        world.runner.run(self._join(list(self.nodes.values())))
        leases = RowLeases(world.database, lambda: world.now_ms)
        feeds, hub = self.master.feeds, self.master.hub
        clock = self.master.clock
        driven = Driven(world.database, leases, hub, feeds, self.figures, clock)
        self.driver = Driver(driven, "one")

    async def _make(self, tx: Transaction) -> None:
        row = await fleets.find(tx, self.id)
        assert row is not None
        self.scope = Scope(row.organisation_id, row.workspace_id)
        for name in self.nodes:
            values: dict[str, object] = {"id": name, "fleet": self.id, "name": name, "token": "t"}
            values |= {"labels": "{}", "key_hash": "k", "created_at": 1}
            more = values | {"certificate_expires_at": 1}
            await agents.insert(tx.within(self.scope), more)

    def _ordered(self, agent: str, order: Upgrade) -> None:
        self.nodes[agent].order = order

    async def _join(self, nodes: list[Node]) -> None:
        async def joined(one: Node) -> None:
            hello = Hello(
                one.name, 1, one.program, can_upgrade=one.can_upgrade, upgrade_ended=one.ended
            )
            one.fence = await self.master.book.joined(one.name, hello, "192.0.2.1")

        await asyncio.gather(*(joined(one) for one in nodes))

    def begin(self, **more: object) -> Answer:
        body = {"fleet": "edge", "program": _NEW, "waves": ["1"], "soak_s": 10}
        gates = {"min_requests": 0}
        return self.world.ask("POST", _BASE, body | {"gates": gates} | more, self.token)

    def shown(self, made: Answer) -> Any:
        return self.world.ask("GET", f"{_BASE}/{made['id']}", token=self.token).json

    def live(self, seconds: int) -> None:
        for _ in range(seconds // 5):
            self.world.advance(seconds=5)
            self.world.runner.run(self._live())
            self.world.runner.run(self.driver.tick())

    async def _live(self) -> None:
        back = [one for one in self.nodes.values() if one.obey()]
        for one in back:
            await self.master.book.left(one.name, one.fence)
        await self._join([one for one in back if not one.is_gone])
        self.served += 50.0
        figures = {"requests": self.served, "errors": 0.0, "latency_p99_ms": 5.0}
        here = [one for one in self.nodes.values() if not one.is_gone]
        for one in here:
            self.figures.add(one.name, self.world.now_ms / 1000, figures)
        beats = (
            self.master.book.seen(one.name, Heartbeat(Held(), upgrade_ended=one.ended))
            for one in here
        )
        await asyncio.gather(*beats)

    async def come_back(self, one: Node) -> None:
        """Has a node begin another session."""
        await self.master.book.left(one.name, one.fence)
        await self._join([one])

    def programs(self) -> list[str]:
        """What the nodes that can upgrade run."""
        return [one.program for one in self.nodes.values() if one.can_upgrade]

    async def events_of(self, kind: str) -> int:
        async with self.world.database.read(self.scope) as tx:
            return await tx.count(EVENTS, EVENTS.c.type == kind)

    def heard(self, kind: str) -> int:
        """How many events of a kind there are."""
        return self.world.runner.run(self.events_of(kind))


@pytest.fixture
def fleet(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setattr(writing, "BEATS_WAIT_S", 0.0)
    yield Fleet(world)


def test_a_program_reaches_the_agents_in_waves_and_names_who_cannot(fleet: Fleet) -> None:
    made = fleet.begin()
    assert (made.status, made["kind"], made.json["revision"]) == (201, "program", None)
    fleet.live(15)
    assert sorted(fleet.programs()) == [_OLD, _OLD, _NEW], "the first wave is one agent"
    fleet.live(120)
    done = fleet.shown(made)
    assert done["status"] == "succeeded", done
    assert fleet.programs() == [_NEW] * 3
    assert [len(one.orders) for one in fleet.nodes.values()] == [1, 1, 1, 0]
    assert sum(len(one["members"]) for one in done["waves"]) == 3
    assert [name.split()[0] for name in done["unable"]] == ["agent3".ljust(26, "0")]
    assert "cannot upgrade: agent3" in done["timeline"][-1]["text"]
    assert {one["program"] for one in done["agents"]} == {_NEW}
    assert fleet.heard("agents.upgraded") == 3
    shown = fleet.world.ask("GET", "/workspaces/default/agents", token=fleet.token).items
    assert [one["upgrade"] for one in shown][2:] == [
        {"is_possible": True, "program": _NEW, "state": "done", "error": ""},
        {"is_possible": False, "program": None, "state": None, "error": ""},
    ]


def test_a_transaction_that_is_carried_out_again_tells_of_an_upgrade_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = fleet.world.database.write

    async def again(scope: Scope, work: Work[T]) -> T:
        """As after a conflict: the first time is undone."""

        async def conflicts(tx: Transaction) -> T:
            await work(tx)
            raise UndoneError

        with suppress(UndoneError):
            await once(scope, conflicts)
        return await once(scope, work)

    monkeypatch.setattr(fleet.world.database, "write", again)
    fleet.begin()
    fleet.live(15)
    assert sorted(fleet.programs()) == [_OLD, _OLD, _NEW]
    assert fleet.heard("agents.upgraded") == 1


def test_an_upgrade_that_fails_is_undone_with_its_reason(fleet: Fleet) -> None:
    first = fleet.begin()
    fleet.live(15)
    for one in fleet.nodes.values():
        if one.program == _OLD:
            one.fails = "failed with exit code 7: no such wheel"
    fleet.live(120)
    done = fleet.shown(first)
    assert done["status"] == "undone", done
    assert "no such wheel" in done["reason"]
    assert fleet.programs() == [_OLD] * 3
    assert fleet.heard("agents.upgrade-failed") >= 1
    # The same program again: each gets a new order.
    for one in fleet.nodes.values():
        one.fails = ""
    again = fleet.begin()
    fleet.live(200)
    assert fleet.shown(again)["status"] == "succeeded", fleet.shown(again)
    assert fleet.programs() == [_NEW] * 3


def test_an_agent_that_does_not_come_back_stops_the_rollout(fleet: Fleet) -> None:
    for one in fleet.nodes.values():
        one.never_returns = True
    made = fleet.begin(apply_s=60)
    fleet.live(40)
    assert fleet.shown(made)["status"] == "rolling", "its wave waits for it"
    fleet.live(60)
    assert fleet.shown(made)["status"] == "undoing", "it may still come back"
    fleet.live(60)
    done = fleet.shown(made)
    assert done["status"] == "undone", done
    assert "did not serve headgate 2.0.0 within 60 s, and has not come back" in done["reason"]
    gone = [one for one in fleet.nodes.values() if one.is_gone]
    assert len(gone) == 1
    # It comes back later, and goes back then.
    gone[0].is_gone = gone[0].never_returns = False
    fleet.world.runner.run(fleet._join(gone))
    fleet.live(20)
    assert fleet.programs() == [_OLD] * 3


@pytest.mark.parametrize("way", ["revoked", "deleted", "moved"])
def test_a_rollout_goes_on_without_an_agent_that_leaves_the_fleet_as_it_upgrades(
    fleet: Fleet, way: str
) -> None:
    for one in fleet.nodes.values():
        one.never_returns = True
    made = fleet.begin(apply_s=600)
    fleet.live(20)
    (gone,) = [one.name for one in fleet.nodes.values() if one.is_gone]
    for one in fleet.nodes.values():
        one.never_returns = False
    path = f"/workspaces/default/agents/{gone}"
    asks: dict[str, tuple[str, str, object]] = {
        "revoked": ("POST", f"{path}/revocation", {}),
        "deleted": ("DELETE", path, None),
        "moved": ("PATCH", path, {"fleet": "other"}),
    }
    fleet.world.ask("POST", "/workspaces/default/fleets", {"name": "other"}, fleet.token)
    assert fleet.world.ask(*asks[way], fleet.token).status in {200, 204}
    fleet.live(60)
    done = fleet.shown(made)
    assert done["status"] == "succeeded", done
    assert gone not in {one["agent"] for one in done["agents"]}
    told = [one["text"] for one in done["timeline"] if one["kind"] == "left"]
    assert told == [f"the rollout goes on without agents that left: {gone}"]


def test_an_undo_in_the_middle_of_an_upgrade_waits_for_the_agents_own_word(fleet: Fleet) -> None:
    made = fleet.begin()
    for _ in range(8):
        fleet.world.advance(seconds=5)
        fleet.world.runner.run(fleet.driver.tick())
        fleet.world.runner.run(_beats(fleet))
        busy = [one for one in fleet.nodes.values() if one.order is not None]
        if busy:
            break
    (one,) = busy
    before, one.order = one.order, None  # it installs
    assert before is not None
    undone = fleet.world.ask("POST", f"{_BASE}/{made['id']}/orders", {"verb": "undo"}, fleet.token)
    assert undone["status"] == "undoing"
    for _ in range(3):
        fleet.world.advance(seconds=5)
        fleet.world.runner.run(_beats(fleet))
        fleet.world.runner.run(fleet.driver.tick())
    # It runs the former program, and that says nothing: the new one is on its way.
    assert fleet.shown(made)["status"] == "undoing"
    one.order = before
    fleet.live(40)
    assert fleet.shown(made)["status"] == "undone", fleet.shown(made)
    assert [order.program for order in one.orders] == [_NEW, _OLD]
    assert one.program == _OLD


async def _beats(fleet: Fleet) -> None:
    for one in fleet.nodes.values():
        await fleet.master.book.seen(one.name, Heartbeat(Held(), upgrade_ended=one.ended))


def test_an_undo_takes_back_an_instance_that_was_taken_over_with_its_host(fleet: Fleet) -> None:
    made = fleet.begin(soak_s=30)
    fleet.live(15)
    agents = [one for one in fleet.nodes.values() if one.can_upgrade]
    first = next(one for one in agents if one.program == _NEW)
    second = next(one for one in agents if one.program == _OLD)
    # Both are instances of one host, which has one program.
    assert first.orders
    assert not second.orders
    second.program = _NEW
    fleet.world.runner.run(fleet.come_back(second))
    fleet.live(150)
    assert fleet.shown(made)["status"] == "succeeded"
    fleet.world.ask("POST", f"{_BASE}/{made['id']}/orders", {"verb": "undo"}, fleet.token)
    fleet.live(120)
    assert fleet.shown(made)["status"] == "undone"
    assert fleet.programs() == [_OLD] * 3
    assert [order.program for order in second.orders] == [_NEW, _OLD]


def test_an_undone_upgrade_leaves_whoever_ran_the_program_before(fleet: Fleet) -> None:
    first = next(iter(fleet.nodes.values()))
    first.program = _NEW
    fleet.world.runner.run(fleet._join([first]))
    made = fleet.begin()
    fleet.live(150)
    assert fleet.shown(made)["status"] == "succeeded", fleet.shown(made)
    fleet.world.ask("POST", f"{_BASE}/{made['id']}/orders", {"verb": "undo"}, fleet.token)
    fleet.live(40)
    assert fleet.shown(made)["status"] == "undone", fleet.shown(made)
    assert fleet.programs() == [_NEW, _OLD, _OLD]


def test_who_was_upgraded_by_hand_after_a_rollout_stays_so(fleet: Fleet) -> None:
    made = fleet.begin()
    fleet.live(150)
    assert fleet.shown(made)["status"] == "succeeded"
    one = next(iter(fleet.nodes.values()))
    one.program = "2.0.1"
    fleet.world.runner.run(fleet._join([one]))
    fleet.live(30)
    assert (one.program, one.order) == ("2.0.1", None)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"program": "--help"}, "$.program"),
        ({"program": "2.0;id"}, "$.program"),
        ({"revision": 1}, "$.revision"),
        ({"program": None}, "$.revision"),
        ({"kind": "certificates"}, "$.kind"),
    ],
)
def test_a_wrong_upgrade_is_refused_at_its_place(
    fleet: Fleet, body: dict[str, object], place: str
) -> None:
    refused = fleet.begin(**body)
    assert refused.status == 422, refused.text
    assert place in refused.text


def test_a_fleet_in_which_no_agent_can_upgrade_is_refused(fleet: Fleet) -> None:
    for one in fleet.nodes.values():
        one.can_upgrade = False
    fleet.world.runner.run(fleet._join(list(fleet.nodes.values())))
    refused = fleet.begin()
    assert refused.status == 422
    assert "no agent of this fleet can upgrade" in refused.text
