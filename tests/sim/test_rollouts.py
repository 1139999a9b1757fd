"""Rollouts over simulated fleets: a checker finds no wave begun too early, no node left behind.

`HEADGATE_SIM_SEEDS=10000 pytest tests/sim` runs as many seeds; the ordinary run takes a share.
"""

import itertools
import os
import random

import pytest
from rollout_world import (
    APPLY_S,
    BASE,
    SOAK_S,
    STEP_S,
    TARGET,
    Bad,
    Faults,
    UpgradeWorld,
    World,
)

from headgate.master.domains.rollouts import state

SEEDS = int(os.environ.get("HEADGATE_SIM_SEEDS", "60"))
_BATCH = max(SEEDS // 20, 1)
_STEPS = 4000


def _world(seed: int, kind: type[World] = World) -> World:
    rng = random.Random(f"world {seed}")  # noqa: S311 - a simulation
    is_calm = rng.random() < 0.2
    faults = (
        Faults()
        if is_calm
        else Faults(
            loss=rng.choice((0.0, 0.05, 0.3)),
            late=rng.choice((0.0, 0.1)),
            repeat=rng.choice((0.0, 0.1)),
            flap=rng.choice((0.0, 0.01, 0.05)),
            crash=rng.choice((0.0, 0.01, 0.1)),
            jump=rng.choice((0.0, 0.01)),
            meddle=rng.choice((0.0, 0.0, 0.01)),
            leave=rng.choice((0.0, 0.0, 0.01, 0.1)),
        )
    )
    bad = rng.choice(
        (Bad(), Bad(), Bad(refusing=1.0), Bad(refusing=0.1), Bad(errors=0.2), Bad(latency_ms=500.0))
    )
    agents = rng.randint(100, 400) if rng.random() < 0.03 else rng.randint(1, 30)
    traffic = rng.choice((0.0, 5.0, 5.0, 5.0))
    if kind.is_upgrade and not is_calm:
        bad.losing = rng.choice((0.0, 0.1, 1.0))
    return kind(seed, faults, bad, agents, traffic, hold_alarm_s=300.0)


@pytest.mark.parametrize("batch", range(0, SEEDS, _BATCH))
@pytest.mark.timeout(3600)
def test_no_fault_makes_a_rollout_lie_or_run_ahead(batch: int) -> None:
    for seed in range(batch, min(batch + _BATCH, SEEDS)):
        world = _world(seed)
        is_calm = world.faults == Faults() and not world.bad.losing
        _run(world)
        try:
            _check(world, is_calm)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("batch", range(0, SEEDS, _BATCH))
@pytest.mark.timeout(3600)
def test_no_fault_makes_an_upgrade_lie_or_run_ahead(batch: int) -> None:
    for seed in range(batch, min(batch + _BATCH, SEEDS)):
        world = _world(seed, UpgradeWorld)
        is_calm = world.faults == Faults() and not world.bad.losing
        _run(world)
        try:
            _check(world, is_calm)
            _check_returns(world)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def _check_returns(world: World) -> None:
    """No wave passes by its gates before each of its agents came back, or failed."""
    passed: set[int] = set()
    for _, rollout in world.history.states:
        for index, wave in enumerate(rollout.waves):
            if wave.how == "its gates passed" and index not in passed:
                passed.add(index)
                waiting = [one for one in wave.members if rollout.nodes[one].standing == "offered"]
                assert not waiting, f"wave {index} passed without {waiting}"


def _run(world: World) -> None:
    """Runs into the faults, then heals them; a rollout that still holds is promoted by a person."""
    for _ in range(150):
        world.step()
    world.heal()
    for _ in range(_STEPS):
        world.step()
        rollout = world.rollout
        if rollout.has_ended:
            break
        is_alarmed = rollout.hold is not None and rollout.hold.is_alarmed
        if is_alarmed or rollout.is_paused:
            world.order("promote")
    for _ in range(20):
        world.step()


def _check(world: World, is_calm: bool) -> None:
    rollout = world.rollout
    assert rollout.has_ended, state.status(rollout)
    _check_waves(world)
    _check_soaks(world)
    _check_nodes(world)
    _check_end(world)
    if is_calm and not world.history.orders:
        wanted = "undone" if world.bad.is_harmful and _shows(world) else "succeeded"
        assert rollout.phase == wanted, (rollout.phase, rollout.reason)


def _shows(world: World) -> bool:
    """Whether what the revision does can be seen: refusals always, the rest with traffic."""
    names = [int(name[1:]) for name in world.agents]
    if world.bad.refusing:
        return any(number * 7919 % 100 < world.bad.refusing * 100 for number in names)
    return world.traffic > 0


def _check_waves(world: World) -> None:
    """No agent gets the revision before the waves before its own have passed."""
    limit = world.spec.pace.max_unavailable
    for _, revision, agents, after in world.history.offers:
        if revision != TARGET or after.phase != "rolling":
            continue
        for agent in agents:
            wave = after.nodes[agent].wave
            assert wave is not None, f"{agent} has an offer and no wave"
            assert all(record.passed_at is not None for record in after.waves[:wave]), agent
        # An offer that is repeated was counted when it was new.
        fresh = sum(after.nodes[agent].offered_at == after.ticked_at for agent in agents)
        assert not limit or fresh <= limit


def _check_soaks(world: World) -> None:
    """A wave that its gates let pass soaked for its whole time, whatever the clock showed."""
    began: dict[int, float] = {}
    passed: set[int] = set()
    for at, rollout in world.history.states:
        for index, wave in enumerate(rollout.waves):
            if wave.soak_clock is not None:
                began.setdefault(index, at)
            else:  # all its agents left, and it began again
                began.pop(index, None)
            if wave.how == "its gates passed" and index not in passed:
                passed.add(index)
                assert at - began[index] >= SOAK_S - 2 * STEP_S, f"wave {index} passed early"
                assert wave.verdict is not None
                assert wave.verdict.outcome == "pass"


def _check_nodes(world: World) -> None:
    """Revisions only grow on a node, except by the undo; each node ends where it is said to."""
    undone_at = next(
        (at for at, one in world.history.states if one.phase == "undoing"), float("inf")
    )
    for agent, served in world.history.served.items():
        for (_, one), (at, other) in itertools.pairwise(served):
            assert other >= one or at >= undone_at, f"{agent} went from {one} to {other}"
    # The driver's last look, as an API shows it.
    assert world.rollout.nodes.keys() == world.agents.keys()
    for name, member in world.agents.items():
        node = world.rollout.nodes[name]
        assert node.serving == member.serving, (name, node)


def _check_end(world: World) -> None:
    rollout = world.rollout
    if rollout.phase == "succeeded":
        assert world.settled == TARGET
        for agent in world.agents.values():
            assert TARGET in (agent.serving, agent.refused), agent.name
        if world.bad.refusing == 1.0:
            raise AssertionError("a revision that every agent refuses has succeeded")
    else:
        assert rollout.phase in {"undone", "aborted"}, rollout.phase
        assert world.settled == BASE
        assert all(agent.serving == BASE for agent in world.agents.values())
    if rollout.phase == "undone":
        assert rollout.reason


def test_a_rollout_without_traffic_holds_and_alarms() -> None:
    world = World(3, Faults(), Bad(), agents=12, traffic=0.0)
    for _ in range(int((SOAK_S + APPLY_S) // STEP_S)):
        world.step()
    assert state.status(world.rollout) == "holding"
    assert not world.history.alarms
    for _ in range(int(3700 // STEP_S)):
        world.step()
    assert state.status(world.rollout) == "holding"
    assert len(world.history.alarms) == 1


def test_a_harmful_revision_stays_in_the_first_wave() -> None:
    world = World(5, Faults(), Bad(errors=0.3), agents=200, traffic=5.0)
    while not world.rollout.has_ended:
        world.step()
    reached = [node for node in world.rollout.nodes.values() if node.is_reached]
    assert world.rollout.phase == "undone"
    assert len(reached) == len(world.rollout.waves[0].members)


def test_an_upgrade_from_which_nobody_comes_back_stays_in_the_first_wave() -> None:
    world = UpgradeWorld(5, Faults(), Bad(losing=1.0), agents=200, traffic=5.0)
    while not world.rollout.has_ended:
        world.step()
    assert world.rollout.phase == "undone"
    assert "has not come back" in world.rollout.reason
    assert {node.wave for node in world.rollout.nodes.values() if node.is_reached} == {0}
    assert not any(node.standing == "restored" for node in world.rollout.nodes.values())
