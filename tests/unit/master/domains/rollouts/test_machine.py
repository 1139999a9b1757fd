"""A rollout decides by what it sees of the fleet."""

from dataclasses import replace

import msgspec
import pytest
from told_fleet import GOOD, NEW, OLD, Fleet, spec_of

from headgate.kernel.errors import Invalid
from headgate.master.domains.rollouts import events as ev
from headgate.master.domains.rollouts.gates import Sample
from headgate.master.domains.rollouts.machine import create, handle
from headgate.master.domains.rollouts.spec import Gates, Pace, parse_waves
from headgate.master.domains.rollouts.state import Rollout, decode, encode


def test_a_good_revision_goes_from_wave_to_wave() -> None:
    fleet = Fleet(spec_of())
    fleet.look()
    assert fleet.serving(NEW) == 1
    fleet.look(5)
    assert fleet.serving(NEW) == 1, "the soak is not over"
    fleet.look(30)
    assert fleet.status == "succeeded"
    assert fleet.serving(NEW) == 4
    assert ev.Settle(NEW) in fleet.commands
    assert [len(wave.members) for wave in fleet.state.waves] == [1, 1, 2]


def test_how_soon_an_agent_served_counts_from_its_offer_and_once() -> None:
    fleet = Fleet(spec_of())
    fleet.look(40)
    assert fleet.status == "succeeded"
    nodes = fleet.state.nodes.values()
    assert {node.served_at - node.offered_at for node in nodes} == {5.0}
    # Looks that come later, and an agent that wavers, leave it.
    before = {name: node.served_at for name, node in fleet.state.nodes.items()}
    fleet.views["a0"] = replace(fleet.views["a0"], serving=OLD)
    fleet.look()
    fleet.views["a0"] = replace(fleet.views["a0"], serving=NEW)
    fleet.look(3)
    assert {name: node.served_at for name, node in fleet.state.nodes.items()} == before


def test_an_agent_that_does_not_serve_has_no_time_of_serving() -> None:
    fleet = Fleet(spec_of())
    fleet.stuck = {"a0", "a1", "a2", "a3"}
    fleet.look(3)
    offered = [node for node in fleet.state.nodes.values() if node.is_reached]
    assert offered
    assert all(node.served_at < node.offered_at for node in offered)


def test_a_wave_passes_by_data_of_its_whole_soak() -> None:
    fleet = Fleet(spec_of())
    fleet.look()
    fleet.measured_at = fleet.now + 1.0
    fleet.look(8)
    assert fleet.serving(NEW) == 1, "fresh data, of the first second of the soak"
    fleet.measured_at = fleet.now
    fleet.look(2)
    assert fleet.serving(NEW) == 2


def test_an_agent_that_refuses_undoes_the_waves_before() -> None:
    fleet = Fleet(spec_of())
    fleet.refusing = {"a0", "a1", "a2"}
    fleet.look(60)
    assert fleet.status == "undone"
    assert fleet.serving(OLD) == 4
    assert "no such file" in fleet.state.reason
    assert ev.Settle(OLD) in fleet.commands


def test_a_failed_gate_undoes_even_while_paused() -> None:
    fleet = Fleet(spec_of())
    fleet.look(3)
    fleet.order("pause")
    fleet.sample = msgspec.structs.replace(GOOD, probes=5)
    fleet.look()
    assert fleet.status == "paused"
    fleet.refusing = set(fleet.views)
    fleet.views = {
        name: replace(one, refused=NEW, refused_at=fleet.now, serving=OLD)
        for name, one in fleet.views.items()
    }
    fleet.look(2)
    assert fleet.status == "undone"


def test_too_little_traffic_holds_until_a_person_decides() -> None:
    fleet = Fleet(spec_of())
    fleet.sample = msgspec.structs.replace(GOOD, requests=3)
    fleet.look(20)
    assert fleet.status == "holding"
    assert not fleet.alarms
    fleet.look(3600 // 5)
    assert len(fleet.alarms) == 1
    fleet.order("promote")
    fleet.look()
    assert fleet.serving(NEW) == 2


def test_a_hold_ends_by_itself_when_there_is_traffic() -> None:
    fleet = Fleet(spec_of())
    fleet.sample = msgspec.structs.replace(GOOD, requests=3)
    fleet.look(20)
    fleet.sample = GOOD
    fleet.look(40)
    assert fleet.status == "succeeded"


def test_offline_agents_never_hold_a_wave_and_get_what_it_ended_with() -> None:
    fleet = Fleet(spec_of())
    fleet.away = {"a0", "a3"}
    fleet.look(40)
    assert fleet.status == "succeeded"
    assert {fleet.views[name].desired for name in fleet.away} == {NEW}
    assert {fleet.views[name].serving for name in fleet.away} == {OLD}
    assert "2 agents are offline" in fleet.state.timeline[-1].text


def test_a_fleet_without_a_connected_agent_proves_nothing() -> None:
    fleet = Fleet(spec_of())
    fleet.away = set(fleet.views)
    fleet.look(40)
    assert fleet.status == "holding"
    assert fleet.state.hold is not None
    assert fleet.state.hold.reason == "no agent of the fleet is connected"


def test_a_hold_has_a_time_since_which_it_lasts_without_that_in_which_nobody_looked() -> None:
    fleet = Fleet(spec_of())
    assert fleet.state.held_since is None
    fleet.away = set(fleet.views)
    fleet.look()
    began = fleet.now
    assert fleet.state.held_since == began
    fleet.look(10)
    assert fleet.state.held_since == began
    fleet.look(step_s=900.0)
    assert fleet.state.held_since == began + 900.0
    fleet.away.clear()
    fleet.look(2)
    assert fleet.state.held_since is None


def test_an_agent_that_does_not_answer_in_time_has_failed() -> None:
    fleet = Fleet(spec_of())
    fleet.stuck = set(fleet.views)
    fleet.look(30)
    assert "did not serve the revision within 60 s" in fleet.state.reason


def test_at_most_so_many_agents_are_unavailable_at_once() -> None:
    fleet = Fleet(spec_of(waves=parse_waves(["rest"]), pace=Pace(max_unavailable=1, soak_s=0.0)))
    fleet.look()
    assert fleet.serving(NEW) == 1
    fleet.look(2)
    assert fleet.serving(NEW) == 3


def test_no_wave_begins_in_a_freeze_and_now_ignores_it() -> None:
    fleet, now = Fleet(spec_of()), Fleet(spec_of(is_now=True))
    fleet.frozen = now.frozen = "the week before Christmas"
    fleet.look(10)
    now.look(2)
    assert (fleet.status, fleet.serving(NEW)) == ("frozen", 0)
    assert (now.status, now.serving(NEW)) == ("succeeded", 4)
    fleet.frozen = ""
    fleet.look()
    assert fleet.serving(NEW) == 1


def test_approvals_of_others_come_before_the_first_wave() -> None:
    fleet = Fleet(spec_of(approvals=2))
    with pytest.raises(Invalid, match="the author cannot approve"):
        fleet.tell(ev.Approve("ann"))
    fleet.tell(ev.Approve("bob"))
    fleet.tell(ev.Approve("bob"))
    fleet.look(5)
    assert (fleet.status, fleet.serving(NEW)) == ("waiting", 0)
    fleet.tell(ev.Approve("cyd"))
    fleet.look()
    assert fleet.serving(NEW) == 1


@pytest.mark.parametrize(
    ("approvals", "kinds"), [(0, ["queued", "rolling"]), (1, ["queued", "waiting"])]
)
def test_only_a_rollout_that_lacks_approvals_says_that_it_waits(
    approvals: int, kinds: list[str]
) -> None:
    rollout = create(spec_of(approvals=approvals), 0.0)
    begun, _ = handle(rollout, ev.Begin(OLD), 1.0)
    assert [one.kind for one in begun.timeline] == kinds


@pytest.mark.parametrize("more", [{"is_now": True}, {"kind": "revocation"}])
def test_what_goes_to_all_at_once_waits_for_its_approvals_too(more: dict[str, object]) -> None:
    fleet = Fleet(spec_of(approvals=1, **more))
    fleet.look(5)
    assert (fleet.status, fleet.serving(NEW)) == ("waiting", 0)
    fleet.tell(ev.Approve("bob"))
    fleet.look()
    assert fleet.serving(NEW) == 4


def test_a_fleet_that_asks_for_more_approvals_counts_until_a_rollout_begins() -> None:
    rollout = create(spec_of(approvals=1), 0.0)
    for event, phase, needed in (
        (ev.Approve("bob", approvals=1), "queued", 1),
        (ev.Begin(OLD, approvals=2), "waiting", 2),
        (ev.Approve("cyd", approvals=3), "waiting", 3),
        (ev.Approve("dan", approvals=0), "rolling", 3),
    ):
        rollout, _ = handle(rollout, event, 1.0)
        assert (rollout.phase, rollout.spec.approvals) == (phase, needed)


def test_certificates_go_to_all_at_once_and_are_never_undone() -> None:
    fleet = Fleet(spec_of(kind="certificates"))
    fleet.refusing = {"a1"}
    fleet.look()
    with pytest.raises(Invalid, match="certificates are never undone"):
        fleet.order("abort")
    fleet.look(3)
    assert (fleet.status, fleet.serving(NEW)) == ("succeeded", 3)
    assert fleet.alarms == ["a1 did not apply revision 2"]


def test_a_rollout_that_succeeded_can_be_undone() -> None:
    fleet = Fleet(spec_of())
    fleet.look(40)
    fleet.order("undo")
    fleet.look(2)
    assert (fleet.status, fleet.serving(OLD)) == ("undone", 4)


def test_agents_that_were_offline_go_back_too_if_the_fleet_is_undone() -> None:
    fleet = Fleet(spec_of())
    fleet.away = {"a0", "a3"}
    fleet.look(40)
    # What the master knows of them lags: they seem to want the old revision still.
    for name in fleet.away:
        fleet.views[name] = replace(fleet.views[name], desired=OLD)
    fleet.order("undo")
    told = [one.agents for one in fleet.commands if one == ev.Serve(OLD, ("a0", "a1", "a2", "a3"))]
    assert told


def test_a_fleet_without_agents_takes_the_revision_and_gives_it_back() -> None:
    fleet = Fleet(spec_of(), agents=0)
    fleet.look()
    assert fleet.status == "succeeded"
    fleet.order("undo")
    fleet.look()
    assert fleet.status == "undone"
    assert fleet.commands[-1] == ev.Settle(OLD)


def test_without_an_earlier_revision_a_failure_alarms() -> None:
    fleet = Fleet(spec_of(base=None))
    fleet.refusing = set(fleet.views)
    fleet.look(3)
    assert fleet.status == "failed"
    assert "no earlier revision" in fleet.alarms[0]


def test_a_superseded_rollout_leaves_its_agents_to_the_next_one() -> None:
    fleet = Fleet(spec_of())
    fleet.look(2)
    fleet.tell(ev.Supersede(3, "bob"))
    fleet.look(2)
    assert (fleet.status, fleet.serving(NEW)) == ("superseded", 1)
    following = Fleet(spec_of(revision=3))
    following.views = fleet.views
    following.look(2)
    following.order("undo")
    following.look(2)
    assert following.serving(OLD) == 4


def test_nothing_goes_on_until_agents_could_connect_again_to_a_new_driver() -> None:
    fleet = Fleet(spec_of())
    fleet.look(2)
    fleet.now += 7200.0
    fleet.tell(ev.Resumed())
    fleet.look(3)
    assert fleet.serving(NEW) == 1
    fleet.look(40)
    assert fleet.status == "succeeded"


@pytest.mark.parametrize("begins_first", [True, False])
def test_a_rollout_that_begins_while_agents_connect_again_skips_no_wave(begins_first: bool) -> None:
    fleet = Fleet(spec_of(approvals=1, waves=parse_waves(["zone:z0"])))
    fleet.look(3)
    fleet.away = {"a0", "a2"}
    events: list[ev.Event] = [ev.Resumed(), ev.Approve("bob")]
    for event in reversed(events) if begins_first else events:
        fleet.tell(event)
    fleet.look(2)
    assert fleet.serving(NEW) == 0
    fleet.away.remove("a0")
    fleet.look()
    assert fleet.serving(NEW) == 0, "one is still away"
    fleet.away.clear()
    fleet.look()
    assert {name for name, view in fleet.views.items() if view.serving == NEW} == {"a0", "a2"}


def test_a_rollout_waits_for_agents_to_connect_again_no_longer_than_its_driver_is_new() -> None:
    fleet = Fleet(spec_of(approvals=1, waves=parse_waves(["zone:z0"])))
    fleet.away = {"a0", "a2"}
    fleet.tell(ev.Resumed(since_s=10.0))
    fleet.tell(ev.Approve("bob"))
    fleet.look()
    assert fleet.serving(NEW) == 0
    fleet.look(2)
    assert fleet.serving(NEW) == 2, "its first wave found no agent"


@pytest.mark.parametrize("away", [set(), {"a0"}])
def test_what_is_urgent_or_misses_nobody_begins_with_its_driver(away: set[str]) -> None:
    spec = spec_of(approvals=1, kind="revocation") if away else spec_of(approvals=1)
    fleet = Fleet(spec)
    fleet.away = away
    fleet.tell(ev.Resumed())
    fleet.tell(ev.Approve("bob"))
    fleet.look()
    assert fleet.serving(NEW) == (3 if away else 1)


@pytest.mark.parametrize("jump_s", [-86400.0, 86400.0])
def test_a_jump_of_the_clock_ends_no_soak(jump_s: float) -> None:
    fleet = Fleet(spec_of())
    fleet.look(2)
    fleet.now += jump_s
    fleet.look()
    assert fleet.serving(NEW) == 1
    fleet.look(40)
    assert fleet.status == "succeeded"


def test_an_old_look_or_answer_changes_nothing() -> None:
    fleet = Fleet(spec_of())
    fleet.look(3)
    before = fleet.state.nodes
    gone = tuple(replace(view, serving=OLD) for view in fleet.views.values())
    fleet.tell(ev.Look(fleet.now - 10.0, gone))
    fleet.tell(ev.Measured(0, -1.0, fleet.now, Sample(), Sample()))
    assert fleet.state.nodes == before


@pytest.mark.parametrize("verb", ["pause", "promote"])
def test_an_order_that_cannot_be_is_refused(verb: ev.Verb) -> None:
    fleet = Fleet(spec_of())
    fleet.look(40)
    with pytest.raises(Invalid, match=f"cannot {verb} rollout r1: it is succeeded"):
        fleet.order(verb)


def test_agents_that_waver_have_failed() -> None:
    fleet = Fleet(spec_of(gates=Gates()))
    fleet.look(2)
    name = next(name for name, view in fleet.views.items() if view.serving == NEW)
    for _ in range(4):
        for revision in (OLD, NEW):
            fleet.views[name] = replace(fleet.views[name], serving=revision)
            fleet.look()
    assert "went back 3 times" in fleet.state.reason


def test_a_state_survives_its_json() -> None:
    fleet = Fleet(spec_of())
    fleet.look(12)
    assert decode(encode(fleet.state)) == fleet.state
    assert isinstance(decode(encode(fleet.state)), Rollout)


def test_a_state_of_another_version_is_refused() -> None:
    fleet = Fleet(spec_of())
    data = encode(msgspec.structs.replace(fleet.state, version=9))
    with pytest.raises(Invalid, match="has version 9"):
        decode(data)
    with pytest.raises(Invalid, match="is broken"):
        decode(data[:-9])


def test_an_agent_that_serves_a_part_of_the_revision_refused_it_if_the_rollout_says_so() -> None:
    fleet = Fleet(spec_of())
    fleet.quarantining = {"a0"}
    fleet.look(2)
    assert fleet.status in {"undoing", "undone"}
    assert fleet.state.reason == "a0 did not apply revision 2: nginx refuses routes/new"
    fleet.look(10)
    assert fleet.status == "undone"
    assert fleet.serving(OLD) == 4


def test_an_agent_that_serves_a_part_of_the_revision_serves_it_if_the_rollout_says_so() -> None:
    fleet = Fleet(spec_of(gates=Gates(quarantine="accept")))
    fleet.quarantining = {"a0", "a1", "a2", "a3"}
    fleet.look(40)
    assert fleet.status == "succeeded"


def test_an_agent_that_fails_at_each_start_since_its_offer_has_failed() -> None:
    fleet = Fleet(spec_of())
    fleet.look(2)
    fleet.failing = {"a0": fleet.now}
    fleet.look(1)
    assert fleet.status in {"undoing", "undone"}
    assert fleet.state.reason.endswith("its control process fails at each start")


def test_an_agent_that_failed_before_is_away_and_holds_nothing() -> None:
    fleet = Fleet(spec_of())
    fleet.failing, fleet.stuck = {"a3": fleet.now - 60}, {"a3"}
    fleet.look(60)
    assert fleet.status == "succeeded"
    assert fleet.serving(NEW) == 3
