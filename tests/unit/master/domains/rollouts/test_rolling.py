"""A rollout goes from wave to wave by what it measures."""

import msgspec
from told_fleet import GOOD, Fleet, spec_of

from headgate.master.domains.rollouts.spec import parse_waves


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
