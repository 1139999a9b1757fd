"""Agents that leave the fleet of a rollout, and such as join it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from told_fleet import NEW, OLD, Fleet, spec_of

from headgate.master.domains.rollouts.spec import (
    FORMER_PROGRAM,
    NEW_PROGRAM,
    Spec,
    parse_waves,
)


def upgrade_of(**more: object) -> Spec:
    """A rollout of a program."""
    program = {"kind": "program", "program": "2.0.0", "revision": NEW_PROGRAM}
    return spec_of(**program, base=FORMER_PROGRAM, **more)


def leave(fleet: Fleet, *agents: str) -> None:
    """Agents are removed, revoked, or moved to another fleet."""
    for agent in agents:
        del fleet.views[agent]


def first_of(fleet: Fleet) -> str:
    """The only agent of the first wave."""
    (agent,) = fleet.state.waves[0].members
    return agent


@pytest.mark.parametrize("make", [spec_of, upgrade_of])
def test_a_wave_whose_only_agent_left_begins_with_another_one(make: Callable[..., Spec]) -> None:
    fleet = Fleet(make())
    fleet.stuck = set(fleet.views)
    fleet.look(2)
    gone = first_of(fleet)
    fleet.stuck.clear()
    leave(fleet, gone)
    fleet.look()
    assert gone not in fleet.state.nodes
    assert first_of(fleet) in fleet.views
    left = f"the rollout goes on without agents that left: {gone}"
    assert [one.text for one in fleet.state.timeline if one.kind == "left"] == [left]
    fleet.look(60)
    assert (fleet.status, fleet.serving(fleet.state.spec.revision)) == ("succeeded", 3)


@pytest.mark.parametrize("make", [spec_of, upgrade_of])
def test_a_wave_goes_on_without_those_of_its_agents_that_left(make: Callable[..., Spec]) -> None:
    fleet = Fleet(make(waves=parse_waves(["3"])))
    fleet.stuck = set(fleet.views)
    fleet.look()
    first, second, third = fleet.state.waves[0].members
    fleet.obey(first)
    leave(fleet, second, third)
    fleet.look()
    assert fleet.state.waves[0].members == (first,)
    assert fleet.status == "soaking"
    fleet.stuck.clear()
    fleet.look(40)
    assert (fleet.status, len(fleet.state.nodes)) == ("succeeded", 2)


def test_a_program_for_a_fleet_of_which_nobody_is_left_holds_and_can_be_aborted() -> None:
    fleet = Fleet(upgrade_of(), agents=1)
    fleet.stuck = {"a0"}
    fleet.look(2)
    leave(fleet, "a0")
    fleet.look(2)
    assert fleet.status == "holding"
    assert fleet.state.hold is not None
    assert fleet.state.hold.reason == "no agent of the fleet can upgrade"
    fleet.order("abort")
    assert fleet.status == "aborted"


def test_an_undo_waits_for_no_agent_that_left() -> None:
    fleet = Fleet(upgrade_of(waves=parse_waves(["rest"])))
    fleet.look(2)
    fleet.away = {"a1"}
    fleet.order("abort")
    fleet.look()
    assert fleet.status == "undoing"
    leave(fleet, "a1")
    fleet.look()
    assert fleet.status == "undone"
    assert "a1" not in fleet.state.timeline[-1].text


def test_a_rollout_that_ended_shows_no_agent_that_left_and_does_not_go_on() -> None:
    fleet = Fleet(spec_of())
    fleet.look(40)
    assert fleet.status == "succeeded"
    ended = fleet.state.timeline
    leave(fleet, "a0")
    fleet.look()
    assert "a0" not in fleet.state.nodes
    assert fleet.state.timeline == ended


def test_agents_that_joined_after_a_rollout_are_undone_with_it() -> None:
    fleet = Fleet(spec_of())
    fleet.look(40)
    assert fleet.status == "succeeded"
    joined = replace(fleet.views["a0"], agent="a9", desired=NEW, serving=NEW, acknowledged=NEW)
    fleet.views["a9"] = joined
    fleet.order("undo")
    fleet.look(3)
    assert (fleet.status, fleet.serving(OLD)) == ("undone", 5)
