"""A rollout decides by what it sees of the fleet."""

from dataclasses import replace

import msgspec
import pytest

from headgate.kernel.errors import Invalid
from headgate.master.domains.rollouts import events as ev
from headgate.master.domains.rollouts.gates import Sample
from headgate.master.domains.rollouts.machine import create, handle
from headgate.master.domains.rollouts.spec import Gates, Pace, Spec, parse_waves
from headgate.master.domains.rollouts.state import Rollout, decode, encode, status

OLD, NEW = 1, 2
GOOD = Sample(agents=1, seconds=60.0, oldest_at=0.0, requests=1000, latency_ms=10.0)


class Fleet:
    """A fleet whose agents do at once what they are told, and the rollout that tells them."""

    def __init__(self, spec: Spec, agents: int = 4) -> None:
        self.state = create(spec, 0.0)
        self.now = 100.0
        self.frozen = ""
        self.refusing: set[str] = set()
        self.quarantining: set[str] = set()
        self.away: set[str] = set()
        self.stuck: set[str] = set()
        self.failing: dict[str, float] = {}
        self.sample = GOOD
        self.measured_at: float | None = None
        """When the agents of a wave measured last; None: just now."""
        self.commands: list[ev.Command] = []
        old = spec.base
        self.views = {
            f"a{n}": ev.AgentView(f"a{n}", True, 0.0, old, old, old, zone=f"z{n % 2}")
            for n in range(agents)
        }
        self.tell(ev.Begin(old))

    def tell(self, event: ev.Event) -> None:
        self.state, commands = handle(self.state, event, self.now)
        self.commands += commands
        for command in commands:
            if isinstance(command, ev.Serve):
                for agent in command.agents:
                    self._offer(agent, command.revision)
            if isinstance(command, ev.Measure):
                at = self.now if self.measured_at is None else self.measured_at
                sample = msgspec.structs.replace(self.sample, oldest_at=at)
                self.tell(ev.Measured(command.wave, command.clock_s, self.now, sample, sample))

    def _offer(self, agent: str, revision: int) -> None:
        view = replace(self.views[agent], desired=revision)
        if agent not in self.away | self.stuck:
            view = replace(view, acknowledged=revision)
            if agent in self.refusing and revision == NEW:
                view = replace(view, refused=revision, refused_at=self.now, error="no such file")
            else:
                why = "nginx refuses routes/new" if agent in self.quarantining else ""
                view = replace(view, serving=revision, quarantined=why)
        self.views[agent] = view

    def look(self, times: int = 1, step_s: float = 5.0) -> None:
        for _ in range(times):
            self.now += step_s
            views = tuple(
                replace(
                    view,
                    seen_at=self.now,
                    is_connected=view.agent not in {*self.away, *self.failing},
                    failing_since=self.failing.get(view.agent),
                )
                for view in self.views.values()
            )
            self.tell(ev.Look(self.now, views, self.frozen))

    def order(self, verb: ev.Verb) -> None:
        self.tell(ev.Order(verb, "bob"))

    def serving(self, revision: int) -> int:
        return sum(view.serving == revision for view in self.views.values())

    @property
    def status(self) -> str:
        return status(self.state)

    @property
    def alarms(self) -> list[str]:
        return [one.text for one in self.commands if isinstance(one, ev.Alarm)]


def _spec(**more: object) -> Spec:
    spec = Spec(
        "r1",
        "edge",
        NEW,
        OLD,
        "ann",
        waves=parse_waves(["1", "50%"]),
        pace=Pace(soak_s=30.0, apply_s=60.0, settle_s=20.0),
    )
    return msgspec.structs.replace(spec, **more)


def test_a_good_revision_goes_from_wave_to_wave() -> None:
    fleet = Fleet(_spec())
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
    fleet = Fleet(_spec())
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
    fleet = Fleet(_spec())
    fleet.stuck = {"a0", "a1", "a2", "a3"}
    fleet.look(3)
    offered = [node for node in fleet.state.nodes.values() if node.is_reached]
    assert offered
    assert all(node.served_at < node.offered_at for node in offered)


def test_a_wave_passes_by_data_of_its_whole_soak() -> None:
    fleet = Fleet(_spec())
    fleet.look()
    fleet.measured_at = fleet.now + 1.0
    fleet.look(8)
    assert fleet.serving(NEW) == 1, "fresh data, of the first second of the soak"
    fleet.measured_at = fleet.now
    fleet.look(2)
    assert fleet.serving(NEW) == 2


def test_an_agent_that_refuses_undoes_the_waves_before() -> None:
    fleet = Fleet(_spec())
    fleet.refusing = {"a0", "a1", "a2"}
    fleet.look(60)
    assert fleet.status == "undone"
    assert fleet.serving(OLD) == 4
    assert "no such file" in fleet.state.reason
    assert ev.Settle(OLD) in fleet.commands


def test_a_failed_gate_undoes_even_while_paused() -> None:
    fleet = Fleet(_spec())
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
    fleet = Fleet(_spec())
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
    fleet = Fleet(_spec())
    fleet.sample = msgspec.structs.replace(GOOD, requests=3)
    fleet.look(20)
    fleet.sample = GOOD
    fleet.look(40)
    assert fleet.status == "succeeded"


def test_offline_agents_never_hold_a_wave_and_get_what_it_ended_with() -> None:
    fleet = Fleet(_spec())
    fleet.away = {"a0", "a3"}
    fleet.look(40)
    assert fleet.status == "succeeded"
    assert {fleet.views[name].desired for name in fleet.away} == {NEW}
    assert {fleet.views[name].serving for name in fleet.away} == {OLD}
    assert "2 agents are offline" in fleet.state.timeline[-1].text


def test_a_fleet_without_a_connected_agent_proves_nothing() -> None:
    fleet = Fleet(_spec())
    fleet.away = set(fleet.views)
    fleet.look(40)
    assert fleet.status == "holding"
    assert fleet.state.hold is not None
    assert fleet.state.hold.reason == "no agent of the fleet is connected"


def test_a_hold_has_a_time_since_which_it_lasts_without_that_in_which_nobody_looked() -> None:
    fleet = Fleet(_spec())
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
    fleet = Fleet(_spec())
    fleet.stuck = set(fleet.views)
    fleet.look(30)
    assert "did not serve the revision within 60 s" in fleet.state.reason


def test_at_most_so_many_agents_are_unavailable_at_once() -> None:
    fleet = Fleet(_spec(waves=parse_waves(["rest"]), pace=Pace(max_unavailable=1, soak_s=0.0)))
    fleet.look()
    assert fleet.serving(NEW) == 1
    fleet.look(2)
    assert fleet.serving(NEW) == 3


def test_no_wave_begins_in_a_freeze_and_now_ignores_it() -> None:
    fleet, now = Fleet(_spec()), Fleet(_spec(is_now=True))
    fleet.frozen = now.frozen = "the week before Christmas"
    fleet.look(10)
    now.look(2)
    assert (fleet.status, fleet.serving(NEW)) == ("frozen", 0)
    assert (now.status, now.serving(NEW)) == ("succeeded", 4)
    fleet.frozen = ""
    fleet.look()
    assert fleet.serving(NEW) == 1


def test_approvals_of_others_come_before_the_first_wave() -> None:
    fleet = Fleet(_spec(approvals=2))
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
    rollout = create(_spec(approvals=approvals), 0.0)
    begun, _ = handle(rollout, ev.Begin(OLD), 1.0)
    assert [one.kind for one in begun.timeline] == kinds


@pytest.mark.parametrize("more", [{"is_now": True}, {"kind": "revocation"}])
def test_what_goes_to_all_at_once_waits_for_its_approvals_too(more: dict[str, object]) -> None:
    fleet = Fleet(_spec(approvals=1, **more))
    fleet.look(5)
    assert (fleet.status, fleet.serving(NEW)) == ("waiting", 0)
    fleet.tell(ev.Approve("bob"))
    fleet.look()
    assert fleet.serving(NEW) == 4


def test_a_fleet_that_asks_for_more_approvals_counts_until_a_rollout_begins() -> None:
    rollout = create(_spec(approvals=1), 0.0)
    for event, phase, needed in (
        (ev.Approve("bob", approvals=1), "queued", 1),
        (ev.Begin(OLD, approvals=2), "waiting", 2),
        (ev.Approve("cyd", approvals=3), "waiting", 3),
        (ev.Approve("dan", approvals=0), "rolling", 3),
    ):
        rollout, _ = handle(rollout, event, 1.0)
        assert (rollout.phase, rollout.spec.approvals) == (phase, needed)


def test_certificates_go_to_all_at_once_and_are_never_undone() -> None:
    fleet = Fleet(_spec(kind="certificates"))
    fleet.refusing = {"a1"}
    fleet.look()
    with pytest.raises(Invalid, match="certificates are never undone"):
        fleet.order("abort")
    fleet.look(3)
    assert (fleet.status, fleet.serving(NEW)) == ("succeeded", 3)
    assert fleet.alarms == ["a1 did not apply revision 2"]


def test_a_rollout_that_succeeded_can_be_undone() -> None:
    fleet = Fleet(_spec())
    fleet.look(40)
    fleet.order("undo")
    fleet.look(2)
    assert (fleet.status, fleet.serving(OLD)) == ("undone", 4)


def test_agents_that_were_offline_go_back_too_if_the_fleet_is_undone() -> None:
    fleet = Fleet(_spec())
    fleet.away = {"a0", "a3"}
    fleet.look(40)
    # What the master knows of them lags: they seem to want the old revision still.
    for name in fleet.away:
        fleet.views[name] = replace(fleet.views[name], desired=OLD)
    fleet.order("undo")
    told = [one.agents for one in fleet.commands if one == ev.Serve(OLD, ("a0", "a1", "a2", "a3"))]
    assert told


def test_a_fleet_without_agents_takes_the_revision_and_gives_it_back() -> None:
    fleet = Fleet(_spec(), agents=0)
    fleet.look()
    assert fleet.status == "succeeded"
    fleet.order("undo")
    fleet.look()
    assert fleet.status == "undone"
    assert fleet.commands[-1] == ev.Settle(OLD)


def test_without_an_earlier_revision_a_failure_alarms() -> None:
    fleet = Fleet(_spec(base=None))
    fleet.refusing = set(fleet.views)
    fleet.look(3)
    assert fleet.status == "failed"
    assert "no earlier revision" in fleet.alarms[0]


def test_a_superseded_rollout_leaves_its_agents_to_the_next_one() -> None:
    fleet = Fleet(_spec())
    fleet.look(2)
    fleet.tell(ev.Supersede(3, "bob"))
    fleet.look(2)
    assert (fleet.status, fleet.serving(NEW)) == ("superseded", 1)
    following = Fleet(_spec(revision=3))
    following.views = fleet.views
    following.look(2)
    following.order("undo")
    following.look(2)
    assert following.serving(OLD) == 4


def test_nothing_goes_on_until_agents_could_connect_again_to_a_new_driver() -> None:
    fleet = Fleet(_spec())
    fleet.look(2)
    fleet.now += 7200.0
    fleet.tell(ev.Resumed())
    fleet.look(3)
    assert fleet.serving(NEW) == 1
    fleet.look(40)
    assert fleet.status == "succeeded"


@pytest.mark.parametrize("jump_s", [-86400.0, 86400.0])
def test_a_jump_of_the_clock_ends_no_soak(jump_s: float) -> None:
    fleet = Fleet(_spec())
    fleet.look(2)
    fleet.now += jump_s
    fleet.look()
    assert fleet.serving(NEW) == 1
    fleet.look(40)
    assert fleet.status == "succeeded"


def test_an_old_look_or_answer_changes_nothing() -> None:
    fleet = Fleet(_spec())
    fleet.look(3)
    before = fleet.state.nodes
    gone = tuple(replace(view, serving=OLD) for view in fleet.views.values())
    fleet.tell(ev.Look(fleet.now - 10.0, gone))
    fleet.tell(ev.Measured(0, -1.0, fleet.now, Sample(), Sample()))
    assert fleet.state.nodes == before


@pytest.mark.parametrize("verb", ["pause", "promote"])
def test_an_order_that_cannot_be_is_refused(verb: ev.Verb) -> None:
    fleet = Fleet(_spec())
    fleet.look(40)
    with pytest.raises(Invalid, match=f"cannot {verb} rollout r1: it is succeeded"):
        fleet.order(verb)


def test_agents_that_waver_have_failed() -> None:
    fleet = Fleet(_spec(gates=Gates()))
    fleet.look(2)
    name = next(name for name, view in fleet.views.items() if view.serving == NEW)
    for _ in range(4):
        for revision in (OLD, NEW):
            fleet.views[name] = replace(fleet.views[name], serving=revision)
            fleet.look()
    assert "went back 3 times" in fleet.state.reason


def test_a_state_survives_its_json() -> None:
    fleet = Fleet(_spec())
    fleet.look(12)
    assert decode(encode(fleet.state)) == fleet.state
    assert isinstance(decode(encode(fleet.state)), Rollout)


def test_a_state_of_another_version_is_refused() -> None:
    fleet = Fleet(_spec())
    data = encode(msgspec.structs.replace(fleet.state, version=9))
    with pytest.raises(Invalid, match="has version 9"):
        decode(data)
    with pytest.raises(Invalid, match="is broken"):
        decode(data[:-9])


def test_an_agent_that_serves_a_part_of_the_revision_refused_it_if_the_rollout_says_so() -> None:
    fleet = Fleet(_spec())
    fleet.quarantining = {"a0"}
    fleet.look(2)
    assert fleet.status in {"undoing", "undone"}
    assert fleet.state.reason == "a0 did not apply revision 2: nginx refuses routes/new"
    fleet.look(10)
    assert fleet.status == "undone"
    assert fleet.serving(OLD) == 4


def test_an_agent_that_serves_a_part_of_the_revision_serves_it_if_the_rollout_says_so() -> None:
    fleet = Fleet(_spec(gates=Gates(quarantine="accept")))
    fleet.quarantining = {"a0", "a1", "a2", "a3"}
    fleet.look(40)
    assert fleet.status == "succeeded"


def test_an_agent_that_fails_at_each_start_since_its_offer_has_failed() -> None:
    fleet = Fleet(_spec())
    fleet.look(2)
    fleet.failing = {"a0": fleet.now}
    fleet.look(1)
    assert fleet.status in {"undoing", "undone"}
    assert fleet.state.reason.endswith("its control process fails at each start")


def test_an_agent_that_failed_before_is_away_and_holds_nothing() -> None:
    fleet = Fleet(_spec())
    fleet.failing, fleet.stuck = {"a3": fleet.now - 60}, {"a3"}
    fleet.look(60)
    assert fleet.status == "succeeded"
    assert fleet.serving(NEW) == 3
