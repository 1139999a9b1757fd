"""Rollouts on a real store: REST, the driver under its lease, the rows that agents serve by."""

from collections.abc import Iterable
from typing import Any

import pytest
from master_world import PASSWORD, Answer, World
from sqlalchemy import update

from headgate.master import upkeep
from headgate.master.access import Caller
from headgate.master.domains.agents import store as agents
from headgate.master.domains.events.store import EVENTS
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.revisions import service as revisions
from headgate.master.domains.rollouts import machine
from headgate.master.domains.rollouts.driver import Driver
from headgate.master.domains.rollouts.driver import World as Driven
from headgate.master.domains.rollouts.figures import Figures
from headgate.master.domains.rollouts.store import ROLLOUTS
from headgate.master.store.leases import RowLeases
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

_BASE = "/workspaces/default/rollouts"
_QUICK = {"waves": ["1", "50%"], "soak_s": 30, "gates": {"min_requests": 10}}


class SilentHub:
    """A hub without sessions that keeps whom it was to wake."""

    def __init__(self) -> None:
        self.woken: set[str] = set()

    def wake(self, agent_ids: Iterable[str]) -> None:
        self.woken |= set(agent_ids)

    def connected(self) -> frozenset[str]:
        return frozenset()

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
        body = {"fleet": "edge", "revision": revision} | _QUICK | more
        made = self.world.ask("POST", _BASE, body, self.token)
        assert made.status == 201, made.text
        return made["id"]

    def shown(self, rollout: str) -> Answer:
        return self.world.ask("GET", f"{_BASE}/{rollout}", token=self.token)

    def order(self, rollout: str, verb: str) -> Answer:
        return self.world.ask("POST", f"{_BASE}/{rollout}/orders", {"verb": verb}, self.token)

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
            self.figures.add(name, now / 1000, figures | {"latency_p99_ms": 5.0})

    async def events_of(self, kind: str) -> int:
        """How many events of a kind there are."""
        async with self.world.database.read(self.scope) as tx:
            return await tx.count(EVENTS, EVENTS.c.type == kind)

    def serving(self) -> list[str]:
        page = self.world.ask("GET", "/workspaces/default/agents", token=self.token)
        return sorted(str(one["revisions"]["serving"]) for one in page.items)  # type: ignore[index]


@pytest.fixture
def fleet(world: World) -> Fleet:
    one = Fleet(world)
    first = one.begin(1, waves=["rest"], soak_s=0, gates={"min_requests": 0})
    one.live(30)
    assert one.shown(first)["status"] == "succeeded", one.shown(first).text
    return one


def test_a_revision_reaches_a_fleet_in_waves(fleet: Fleet) -> None:
    rollout = fleet.begin(2)
    fleet.live(15)
    assert fleet.serving() == ["1", "1", "1", "2"]
    assert fleet.shown(rollout)["status"] == "soaking"
    fleet.live(200)
    done = fleet.shown(rollout)
    assert done["status"] == "succeeded", done.text
    assert fleet.serving() == ["2"] * 4
    assert [len(one["members"]) for one in done.json["waves"]] == [1, 1, 2]  # type: ignore[attr-defined]
    assert {one["standing"] for one in done.json["agents"]} == {"serving"}  # type: ignore[attr-defined]
    assert set(fleet.names) <= fleet.hub.woken
    found = fleet.world.ask("GET", "/workspaces/default/fleets/edge", token=fleet.token)
    assert found["revision"] == "2"
    assert fleet.world.runner.run(fleet.events_of("rollouts.changed")) >= 5


def test_a_revision_that_fails_requests_is_undone_by_itself(fleet: Fleet) -> None:
    fleet.errors_of = dict.fromkeys(fleet.names, 0.5)
    rollout = fleet.begin(2)
    fleet.live(120)
    done = fleet.shown(rollout)
    assert done["status"] == "undone", done.text
    assert "of the wave's requests failed, 0.00% of its control's" in done["reason"]
    assert fleet.serving() == ["1"] * 4
    found = fleet.world.ask("GET", "/workspaces/default/fleets/edge", token=fleet.token)
    assert found["revision"] == "1"


def test_a_refusal_names_the_agent_and_the_object(fleet: Fleet) -> None:
    fleet.refusing = fleet.names[2]
    rollout = fleet.begin(2, waves=["rest"])
    fleet.live(60)
    done = fleet.shown(rollout)
    assert done["status"] == "undone"
    assert "no such file (upstreams/api.json)" in done["reason"]


def test_what_serves_in_part_is_undone_unless_the_rollout_accepts_it(fleet: Fleet) -> None:
    fleet.quarantining = fleet.names[0]
    one = fleet.begin(2)
    fleet.live(120)
    shown = fleet.shown(one)
    assert shown["status"] == "undone"
    assert "serving with 1 quarantined (upstreams/api)" in str(shown["reason"])
    other = fleet.begin(2, gates={"min_requests": 10, "quarantine": "accept"})
    fleet.live(240)
    assert fleet.shown(other)["status"] == "succeeded"


def test_the_next_driver_goes_on_where_the_last_one_died(fleet: Fleet) -> None:
    rollout = fleet.begin(2)
    fleet.live(15)
    second = fleet.new_driver("second")
    fleet.world.runner.run(second.tick())
    assert fleet.serving() == ["1", "1", "1", "2"]
    # The first one is silent from now on: its lease runs out.
    fleet.live(300, second)
    assert fleet.shown(rollout)["status"] == "succeeded", fleet.shown(rollout).text
    texts = [one["text"] for one in fleet.shown(rollout).json["timeline"]]  # type: ignore[attr-defined]
    assert "a master took the rollout over" in texts


def test_a_newer_revision_queues_unless_it_supersedes(fleet: Fleet) -> None:
    first = fleet.begin(2)
    fleet.live(15)
    queued = fleet.begin(3)
    fleet.live(10)
    assert fleet.shown(queued)["status"] == "queued"
    newer = fleet.begin(3, supersede=True)
    assert fleet.shown(first)["status"] == "superseded"
    assert fleet.shown(queued)["status"] == "superseded"
    fleet.live(300)
    assert fleet.shown(newer)["status"] == "succeeded"
    assert fleet.serving() == ["3"] * 4
    assert fleet.order(first, "undo").status == 409


def test_publishing_does_not_run_over_a_rollout(fleet: Fleet) -> None:
    fleet.begin(2)
    fleet.live(15)
    path = "/workspaces/default/revisions"
    refused = fleet.world.ask("POST", path, {"fleet": "edge"}, fleet.token)
    assert refused.status == 409, refused.text
    made = fleet.world.ask("POST", path, {"fleet": "edge", "is_served": False}, fleet.token)
    assert made.status == 201, made.text
    listed = fleet.world.ask("GET", path, token=fleet.token).items
    oldest = next(one["id"] for one in listed if one["number"] == 1)
    refused = fleet.world.ask("POST", f"{path}/{oldest}/publish", {}, fleet.token)
    assert refused.status == 409, refused.text
    fleet.live(5)
    assert fleet.serving() == ["1", "1", "1", "2"]


def test_people_pause_promote_and_undo(fleet: Fleet) -> None:
    rollout = fleet.begin(2)
    fleet.live(15)
    assert fleet.order(rollout, "pause")["status"] == "paused"
    fleet.live(120)
    assert fleet.serving() == ["1", "1", "1", "2"]
    assert fleet.order(rollout, "promote").status == 200
    fleet.live(250)
    assert fleet.shown(rollout)["status"] == "succeeded"
    assert fleet.order(rollout, "undo")["status"] == "undoing"
    fleet.live(30)
    assert fleet.shown(rollout)["status"] == "undone"
    assert fleet.serving() == ["1"] * 4
    refused = fleet.order(rollout, "pause")
    assert refused.status == 409
    assert "it is undone" in refused["detail"]


def test_a_freeze_keeps_waves_from_beginning_until_it_is_over(fleet: Fleet) -> None:
    body = {"seconds": 3600, "reason": "the sale"}
    freeze = fleet.world.ask("POST", "/workspaces/default/freezes", body, fleet.token)
    assert freeze.status == 201, freeze.text
    rollout = fleet.begin(2)
    fleet.live(60)
    assert fleet.shown(rollout)["status"] == "frozen"
    assert fleet.serving() == ["1"] * 4
    path = f"/workspaces/default/freezes/{freeze['id']}"
    assert fleet.world.ask("DELETE", path, token=fleet.token).status == 204
    fleet.live(10)
    assert fleet.serving() == ["1", "1", "1", "2"]


def test_nobody_approves_their_own_rollout(fleet: Fleet) -> None:
    rollout = fleet.begin(2, approvals=1)
    fleet.live(30)
    assert fleet.shown(rollout)["status"] == "waiting"
    path = f"{_BASE}/{rollout}/approvals"
    refused = fleet.world.ask("POST", path, token=fleet.token)
    assert refused.status == 409
    assert "the author cannot approve" in refused["detail"]
    bob = fleet.world.invite(fleet.token, "bob", "approver")
    assert fleet.world.ask("POST", path, token=bob).status == 200
    fleet.live(10)
    assert fleet.serving() == ["1", "1", "1", "2"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"fleet": "none"}, "$.fleet"),
        ({"revision": 9}, "$.revision"),
        ({"waves": ["rest", "1"]}, "$.waves"),
        ({"soak_s": -1}, "$.soak_s"),
        ({"unknown": 1}, "$.unknown"),
    ],
)
def test_a_wrong_rollout_is_refused_at_its_place(
    fleet: Fleet, change: dict[str, object], path: str
) -> None:
    body = {"fleet": "edge", "revision": 2} | change
    refused = fleet.world.ask("POST", _BASE, body, fleet.token)
    assert (refused.status, refused["path"]) == (422, path), refused.text


def test_only_approvers_may_reach_every_agent_at_once(fleet: Fleet) -> None:
    eve = fleet.world.invite(fleet.token, "eve", "operator")
    body = {"fleet": "edge", "revision": 2, "is_now": True}
    assert fleet.world.ask("POST", _BASE, body, eve).status == 403
    assert fleet.world.ask("POST", _BASE, body, fleet.token).status == 201
    fleet.live(15)
    assert fleet.serving() == ["2"] * 4


@pytest.mark.parametrize("kind", ["certificates", "revocation"])
def test_only_approvers_may_begin_what_is_never_undone(fleet: Fleet, kind: str) -> None:
    eve = fleet.world.invite(fleet.token, "eve", "operator")
    bob = fleet.world.invite(fleet.token, "bob", "approver")
    body = {"fleet": "edge", "revision": 2, "kind": kind}
    refused = fleet.world.ask("POST", _BASE, body, eve)
    assert refused.status == 403
    assert f"the kind `{kind}` needs the permission rollouts.approve" in refused["detail"]
    assert fleet.serving() == ["1"] * 4
    assert fleet.world.ask("POST", _BASE, body, bob).status == 201
    fleet.live(15)
    assert fleet.serving() == ["2"] * 4


def test_operators_publish_for_a_rollout_and_approvers_for_every_agent(fleet: Fleet) -> None:
    eve = fleet.world.invite(fleet.token, "eve", "operator")
    path = "/workspaces/default/revisions"
    refused = fleet.world.ask("POST", path, {"fleet": "edge"}, eve)
    assert refused.status == 403
    assert "publish with `is_served` false" in refused["detail"]
    body = {"fleet": "edge", "is_served": False}
    assert fleet.world.ask("POST", path, body, eve).status == 201
    listed = fleet.world.ask("GET", path, token=fleet.token).items
    oldest = next(one["id"] for one in listed if one["number"] == 1)
    again = fleet.world.ask("POST", f"{path}/{oldest}/publish", {}, eve)
    assert again.status == 403
    fleet.live(15)
    assert fleet.serving() == ["1"] * 4
    bob = fleet.world.invite(fleet.token, "bob", "approver")
    assert fleet.world.ask("POST", f"{path}/{oldest}/publish", {}, bob).status == 201


@pytest.fixture
def unreadable(fleet: Fleet) -> str:
    """A rollout of another fleet, older than the next one, whose state no master can read."""
    made = fleet.world.ask("POST", "/workspaces/default/fleets", {"name": "other"}, fleet.token)

    async def publish(tx: Transaction) -> None:
        order = revisions.Order(made["id"], Caller(id="u", name="ann"), "", fleet.world.now_ms)
        contents = {"upstreams/api.json": b'{"endpoints":["127.0.0.1:1"]}'}
        await revisions.publish(
            tx.within(fleet.scope), order, revisions.Made(contents), fleet.world.master.sealer
        )

    fleet.world.runner.run(fleet.world.database.write(MASTER, publish))
    rollout = fleet.begin(1, fleet="other")
    damage = update(ROLLOUTS).where(ROLLOUTS.c.id == rollout).values(state='{"version":99}')
    fleet.world.runner.run(fleet.world.database.write(MASTER, lambda tx: tx.change(damage)))
    return rollout


def test_a_rollout_that_cannot_be_read_keeps_no_other_from_going_on(
    fleet: Fleet, unreadable: str
) -> None:
    rollout = fleet.begin(2)

    fleet.live(300)

    assert fleet.shown(rollout)["status"] == "succeeded", fleet.shown(rollout).text
    shown = fleet.shown(unreadable)
    assert (shown.status, shown["status"]) == (200, "unreadable")
    assert "the stored rollout has version 99" in shown["reason"]
    listed = fleet.world.ask("GET", _BASE, token=fleet.token)
    assert [one["status"] for one in listed.items if one["id"] == unreadable] == ["unreadable"]
    told = fleet.world.runner.run(fleet.events_of("rollouts.stuck"))
    assert told == 1


def test_a_rollout_that_cannot_be_read_takes_no_order_but_gives_way(
    fleet: Fleet, unreadable: str
) -> None:
    refused = fleet.order(unreadable, "pause")
    assert refused.status == 409
    assert "`supersede`" in refused["detail"]

    following = fleet.begin(1, fleet="other", supersede=True)
    fleet.live(30)

    assert fleet.shown(unreadable)["status"] == "superseded"
    assert fleet.shown(following)["status"] == "succeeded", fleet.shown(following).text


def test_a_fault_while_one_rollout_is_driven_does_not_end_the_driver(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = fleet.begin(2)
    whole, broken = machine.handle, [True]

    def handle(*given: Any) -> Any:
        if broken:
            raise ZeroDivisionError
        return whole(*given)

    monkeypatch.setattr(machine, "handle", handle)
    fleet.live(10)
    broken.clear()
    fleet.live(300)

    assert fleet.shown(rollout)["status"] == "succeeded", fleet.shown(rollout).text


def test_old_rollouts_are_forgotten_but_not_the_newest_of_a_fleet(fleet: Fleet) -> None:
    world = fleet.world
    second = fleet.begin(2, waves=["rest"], soak_s=0, gates={"min_requests": 0})
    fleet.live(60)
    assert fleet.shown(second)["status"] == "succeeded"
    world.advance(hours=24 * 401)
    token = world.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})["access_token"]

    leases = RowLeases(world.database, lambda: world.now_ms)
    kept = upkeep.World(world.database, leases, lambda: world.now_ms, "one")
    assert world.runner.run(upkeep.Upkeep(kept, upkeep.rules(400)).once())

    listed = world.ask("GET", _BASE, token=token)
    assert [one["id"] for one in listed.items] == [second]
