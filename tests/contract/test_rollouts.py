"""Rollouts on a real store: REST, the driver under its lease, the rows that agents serve by."""

from typing import Any

import pytest
from master_world import PASSWORD, World
from rollout_fleet import BASE, Fleet
from sqlalchemy import update

from headgate.master import upkeep
from headgate.master.access import Caller
from headgate.master.domains.agents.store import AGENTS
from headgate.master.domains.revisions import service as revisions
from headgate.master.domains.revisions import store as revision_rows
from headgate.master.domains.rollouts import machine, store
from headgate.master.domains.rollouts.store import ROLLOUTS
from headgate.master.store.leases import RowLeases
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction


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


def test_a_rollout_that_begins_with_a_new_driver_waits_for_the_agents_of_its_wave(
    fleet: Fleet,
) -> None:
    canary = fleet.names.pop()
    values = {"labels": '{"tier":"canary"}'}
    labelled = update(AGENTS).where(AGENTS.c.id == canary).values(values)
    fleet.world.runner.run(fleet.world.database.write(MASTER, lambda tx: tx.change(labelled)))
    fleet.live(60)
    second = fleet.new_driver("second")
    fleet.live(20, second)
    fleet.begin(2, waves=["label:tier=canary"])
    fleet.live(30, second)
    assert fleet.serving() == ["1"] * 4
    fleet.names.append(canary)
    fleet.live(10, second)
    assert fleet.serving() == ["1", "1", "1", "2"]


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


def test_an_undo_does_not_discard_what_was_published_since(fleet: Fleet) -> None:
    rollout = fleet.begin(2)
    fleet.live(250)
    assert fleet.shown(rollout)["status"] == "succeeded"
    listed = fleet.world.ask("GET", "/workspaces/default/revisions", token=fleet.token).items
    third = next(one["id"] for one in listed if one["number"] == 3)
    path = f"/workspaces/default/revisions/{third}/publish"
    assert fleet.world.ask("POST", path, {}, fleet.token).status == 201
    fleet.live(15)
    refused = fleet.order(rollout, "undo")
    assert refused.status == 409, refused.text
    assert "the fleet's revision is 4, which was published since" in refused["detail"]
    fleet.live(15)
    assert fleet.serving() == ["4"] * 4


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
    path = f"{BASE}/{rollout}/approvals"
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
    refused = fleet.world.ask("POST", BASE, body, fleet.token)
    assert (refused.status, refused["path"]) == (422, path), refused.text


def test_only_approvers_may_reach_every_agent_at_once(fleet: Fleet) -> None:
    eve = fleet.world.invite(fleet.token, "eve", "operator")
    body = {"fleet": "edge", "revision": 2, "is_now": True}
    assert fleet.world.ask("POST", BASE, body, eve).status == 403
    assert fleet.world.ask("POST", BASE, body, fleet.token).status == 201
    fleet.live(15)
    assert fleet.serving() == ["2"] * 4


@pytest.mark.parametrize("kind", ["certificates", "revocation"])
def test_only_approvers_may_begin_what_is_never_undone(fleet: Fleet, kind: str) -> None:
    eve = fleet.world.invite(fleet.token, "eve", "operator")
    bob = fleet.world.invite(fleet.token, "bob", "approver")
    body = {"fleet": "edge", "revision": 2, "kind": kind}
    refused = fleet.world.ask("POST", BASE, body, eve)
    assert refused.status == 403
    assert f"the kind `{kind}` needs the permission rollouts.approve" in refused["detail"]
    assert fleet.serving() == ["1"] * 4
    assert fleet.world.ask("POST", BASE, body, bob).status == 201
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


def _publish_beyond_the_quota(fleet: Fleet) -> set[object]:
    """Publishes with room for two revisions; returns the numbers of those that are kept."""
    path = f"/organisations/main/workspaces/{fleet.scope.workspace_id}/quotas"
    assert fleet.world.ask("PATCH", path, {"revisions": 2}, fleet.token).status == 200
    body = {"fleet": "edge", "is_served": False}
    made = fleet.world.ask("POST", "/workspaces/default/revisions", body, fleet.token)
    assert made.status == 201, made.text
    kept = fleet.world.ask("GET", "/workspaces/default/revisions", token=fleet.token)
    return {one["number"] for one in kept.items}


def test_what_the_newest_rollout_goes_back_to_is_kept(fleet: Fleet) -> None:
    rollout = fleet.begin(2)
    fleet.live(250)
    assert fleet.shown(rollout)["status"] == "succeeded"
    assert _publish_beyond_the_quota(fleet) == {1, 2, 3, 4}
    assert fleet.order(rollout, "undo")["status"] == "undoing"
    fleet.live(30)
    assert fleet.shown(rollout)["status"] == "undone"
    assert fleet.serving() == ["1"] * 4


def test_what_a_rollout_goes_back_to_that_cannot_be_read_is_kept(fleet: Fleet) -> None:
    rollout = fleet.begin(2)
    fleet.live(250)
    _damage(fleet, rollout)
    assert _publish_beyond_the_quota(fleet) == {1, 2, 3, 4}


def test_a_revision_to_which_no_rollout_goes_back_any_more_is_removed(fleet: Fleet) -> None:
    for revision in (2, 3):
        rollout = fleet.begin(revision)
        fleet.live(250)
        assert fleet.shown(rollout)["status"] == "succeeded"
    assert _publish_beyond_the_quota(fleet) == {2, 3, 4}


def _remove(fleet: Fleet, number: int) -> None:
    """Removes a revision, as masters did before they kept what a rollout goes back to."""

    async def remove(tx: Transaction) -> None:
        found = await store.revision_id(tx, fleet.id, number)
        assert found is not None
        await revision_rows.remove(tx, [found])

    fleet.world.runner.run(fleet.world.database.write(fleet.scope, remove))


def test_an_undo_to_a_revision_that_is_gone_is_refused(fleet: Fleet) -> None:
    rollout = fleet.begin(2)
    fleet.live(250)
    _remove(fleet, 1)
    refused = fleet.order(rollout, "undo")
    assert refused.status == 409, refused.text
    assert refused["detail"] == (
        "revision 1 of the fleet was removed; begin a rollout of another revision"
    )
    fleet.live(15)
    assert fleet.shown(rollout)["status"] == "succeeded"
    assert fleet.serving() == ["2"] * 4
    path = "/workspaces/default/revisions"
    assert fleet.world.ask("POST", path, {"fleet": "edge"}, fleet.token).status == 201


def test_an_undo_to_a_revision_that_is_gone_gives_way_to_another_rollout(fleet: Fleet) -> None:
    rollout = fleet.begin(2)
    fleet.live(250)
    assert fleet.order(rollout, "undo")["status"] == "undoing"
    refused = fleet.ask_for(3, supersede=True)
    assert refused.status == 409
    assert "wait until it is undone" in refused["detail"]
    _remove(fleet, 1)
    following = fleet.begin(3, supersede=True)
    fleet.live(300)
    assert fleet.shown(rollout)["status"] == "superseded"
    assert fleet.shown(following)["status"] == "succeeded", fleet.shown(following).text
    assert fleet.serving() == ["3"] * 4


def _damage(fleet: Fleet, rollout: str) -> None:
    """Makes a rollout one that no master can read."""
    damage = update(ROLLOUTS).where(ROLLOUTS.c.id == rollout).values(state='{"version":99}')
    fleet.world.runner.run(fleet.world.database.write(MASTER, lambda tx: tx.change(damage)))


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
    _damage(fleet, rollout)
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
    listed = fleet.world.ask("GET", BASE, token=fleet.token)
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


@pytest.mark.parametrize("back_s", [40, 600, 3540])
@pytest.mark.parametrize("waves", [["1"], ["rest"]])
def test_a_clock_that_is_set_back_lets_no_gate_judge_by_what_was_before(
    fleet: Fleet, back_s: int, waves: list[str]
) -> None:
    fleet.live(600)
    rollout = fleet.begin(2, waves=waves)
    fleet.errors_of = dict.fromkeys(fleet.names, 0.5)
    fleet.live(5)
    fleet.world.advance(seconds=-back_s)
    fleet.live(150)
    known = {"name": "ann", "password": PASSWORD}
    fleet.token = fleet.world.ask("POST", "/auth/login", known)["access_token"]
    assert fleet.shown(rollout)["status"] == "undone", fleet.shown(rollout).text


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

    listed = world.ask("GET", BASE, token=token)
    assert [one["id"] for one in listed.items] == [second]
