"""A rollout goes from wave to wave by what it measures."""

import msgspec
import pytest
from told_fleet import GOOD, NEW, Fleet, spec_of

from headgate.master.domains.rollouts.spec import Gates, parse_waves


def test_a_wave_of_which_an_agent_gives_no_data_holds_and_names_it() -> None:
    fleet = Fleet(spec_of(waves=parse_waves(["rest"])))
    fleet.silent = ("a1", "a2", "a3")
    fleet.look(20)
    assert fleet.status == "holding"
    assert fleet.state.hold is not None
    assert fleet.state.hold.reason == "there is no fresh data from a1, a2, a3"
    fleet.elsewhere = ("a2", "a3")
    fleet.look()
    assert fleet.state.hold.reason.endswith("; connected to another master: a2, a3")
    fleet.silent = fleet.elsewhere = ()
    fleet.look()
    assert fleet.status == "succeeded"


def test_a_wave_that_does_harm_is_undone_though_some_of_its_agents_give_no_data() -> None:
    fleet = Fleet(spec_of(waves=parse_waves(["rest"])))
    fleet.silent, fleet.control = ("a1",), GOOD
    fleet.sample = msgspec.structs.replace(GOOD, errors=500)
    fleet.look(20)
    assert fleet.status == "undone"


@pytest.mark.parametrize("served", [True, False])
def test_a_wave_of_which_agents_went_away_after_their_offer_holds(served: bool) -> None:
    fleet = Fleet(spec_of(waves=parse_waves(["3"])))
    fleet.stuck = set() if served else {"a0", "a1", "a2", "a3"}
    fleet.look()
    stays, *lost = fleet.state.waves[0].members
    fleet.obey(stays)
    fleet.away = set(lost)
    fleet.look(20)
    assert fleet.status == "holding"
    assert fleet.state.hold is not None
    assert fleet.state.hold.reason == f"{lost[0]}, {lost[1]} went away after the offer"
    assert fleet.serving(NEW) == (3 if served else 1)
    fleet.silent = (stays,)
    fleet.look()
    assert fleet.state.hold.reason.startswith(f"there is no fresh data from {stays}; {lost[0]}")
    fleet.silent = ()
    fleet.away.clear()
    for agent in lost:
        fleet.obey(agent)
    fleet.stuck.clear()
    fleet.look(40)
    assert fleet.status == "succeeded"


def test_agents_that_went_away_hold_no_wave_that_a_person_promotes_or_that_they_left() -> None:
    left, promoted = (Fleet(spec_of(waves=parse_waves(["3"]))) for _ in range(2))
    for fleet in (left, promoted):
        fleet.look(2)
        fleet.away = {fleet.state.waves[0].members[0]}
        fleet.look(20)
        assert fleet.status == "holding"
    del left.views[left.away.pop()]
    left.look(20)
    promoted.order("promote")
    promoted.look(20)
    assert left.status == promoted.status == "succeeded"


def test_as_many_agents_may_go_away_as_may_refuse() -> None:
    fleet = Fleet(spec_of(waves=parse_waves(["3"]), gates=Gates(failed_applies=2)))
    fleet.refusing = {"a0", "a1", "a2", "a3"}
    fleet.stuck = {"a0", "a1", "a2", "a3"}
    fleet.look()
    refuses, lost, serves = fleet.state.waves[0].members
    fleet.refusing = {refuses}
    fleet.obey(refuses)
    fleet.obey(serves)
    fleet.away = {lost}
    fleet.stuck = set()
    fleet.look(40)
    assert fleet.status == "succeeded"
