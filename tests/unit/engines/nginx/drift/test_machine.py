"""What is done about drift and when, with made-up times (row 31 of the fault matrix)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.common.types import Mode
from headgate.engines.nginx.drift.finding import Edit, Finding, State
from headgate.engines.nginx.drift.machine import (
    Alarm,
    Command,
    Heal,
    HealEnded,
    Looked,
    Machine,
    Policy,
    Report,
    Reprobe,
    Rules,
    WakeIn,
    default_policy,
)


def edited(generation: int = 7, digest: str = "bb") -> Finding:
    """A look that found an edit."""
    return Finding(generation, (State.DISK_DRIFT,), (Edit("nginx.conf", "edited", digest),))


def in_sync(generation: int = 7) -> Finding:
    """A look that found nothing."""
    return Finding(generation, (State.IN_SYNC,))


def machine(policy: Policy = Policy.HEAL) -> Machine:
    """A machine with the default times."""
    return Machine(Rules(policy))


def heals(commands: list[Command]) -> list[Heal]:
    """The heals among commands."""
    return [one for one in commands if isinstance(one, Heal)]


def alarms(commands: list[Command]) -> list[str | None]:
    """The texts of alarms among commands."""
    return [one.text for one in commands if isinstance(one, Alarm)]


@pytest.mark.parametrize(
    ("mode", "policy"),
    [("full", Policy.HEAL), ("guest", Policy.REPORT), ("observe", Policy.REPORT)],
)
def test_only_our_own_config_is_healed_by_default(mode: Mode, policy: Policy) -> None:
    assert default_policy(mode) is policy


def test_an_edit_is_told_at_once_and_healed_after_a_minute() -> None:
    it = machine()
    assert it.handle(Looked(edited()), 100) == [Report(edited()), WakeIn(60)]
    assert it.handle(Looked(edited()), 130) == [WakeIn(30)]
    assert it.handle(Looked(edited()), 160) == [Heal(edited())]
    assert it.handle(Looked(edited()), 160.1) == []
    assert it.handle(HealEnded(), 161) == []
    assert it.handle(Looked(in_sync()), 161) == [Report(in_sync())]


def test_a_second_edit_does_not_put_the_heal_off() -> None:
    it = machine()
    it.handle(Looked(edited(digest="bb")), 0)
    assert it.handle(Looked(edited(digest="cc")), 50) == [Report(edited(digest="cc")), WakeIn(10)]
    assert heals(it.handle(Looked(edited(digest="cc")), 60)) == [Heal(edited(digest="cc"))]


def test_an_edit_that_is_taken_back_is_not_healed() -> None:
    it = machine()
    it.handle(Looked(edited()), 0)
    it.handle(Looked(in_sync()), 30)
    assert it.handle(Looked(edited()), 61) == [Report(edited()), WakeIn(60)]


def test_report_never_heals() -> None:
    it = machine(Policy.REPORT)
    commands = [one for at in range(0, 4000, 10) for one in it.handle(Looked(edited()), at)]
    assert not heals(commands)


def test_an_edit_during_an_apply_waits_for_its_end_and_heals_the_new_generation() -> None:
    it = machine()
    it.handle(Looked(edited(7)), 0)
    assert it.handle(Looked(edited(7), is_applying=True), 60) == []
    assert it.handle(Looked(edited(8)), 70) == [Report(edited(8)), WakeIn(60)]
    assert it.handle(Looked(edited(8)), 130) == [Heal(edited(8))]


def test_a_newer_release_starts_the_time_again_so_that_no_older_one_is_put_back() -> None:
    it = machine()
    it.handle(Looked(edited(7)), 0)
    it.handle(Looked(edited(8)), 59)
    assert not heals(it.handle(Looked(edited(8)), 61))
    assert heals(it.handle(Looked(edited(8)), 119)) == [Heal(edited(8))]


def test_a_hold_stops_heals_and_the_time_starts_when_it_is_over() -> None:
    it = machine()
    it.handle(Looked(edited()), 0)
    for at in range(0, 1800, 60):
        assert not heals(it.handle(Looked(edited(), is_held=True), at))
    assert it.handle(Looked(edited()), 1800) == [WakeIn(60)]
    assert heals(it.handle(Looked(edited()), 1860))


def test_drift_is_told_while_held() -> None:
    assert machine().handle(Looked(edited(), is_held=True), 0) == [Report(edited())]


def fight(it: Machine, at: float, times: int) -> tuple[float, list[Command]]:
    """Another tool edits again as soon as it was healed; up to so many heals."""
    commands: list[Command] = []
    done = 0
    while done < times:
        new = it.handle(Looked(edited()), at)
        commands += new
        if heals(new):
            done += 1
            commands += it.handle(HealEnded(), at + 1)
            commands += it.handle(Looked(in_sync()), at + 1)
        at += 5
    return at, commands


def test_three_heals_in_ten_minutes_are_a_fight_that_backs_off_and_alarms() -> None:
    it = machine()
    at, commands = fight(it, 0, 3)
    assert at < 600
    assert alarms(commands) == []
    told = it.handle(Looked(edited()), at)
    assert alarms(told) == [
        "3 heals in 10 min: something else writes these files; the next heal waits 10 min"
    ]
    assert WakeIn(600) in told
    assert not heals(it.handle(Looked(edited()), at + 599))
    assert heals(it.handle(Looked(edited()), at + 600))


def test_a_fight_that_goes_on_waits_twice_as_long_up_to_an_hour() -> None:
    it = machine()
    at, waits = 0.0, []
    for _ in range(5):
        at, commands = fight(it, at, 3)
        commands += it.handle(Looked(edited()), at)
        waits += [text.rpartition("waits ")[2] for text in alarms(commands) if text]
    assert waits == ["10 min", "20 min", "40 min", "60 min"]


def test_the_alarm_ends_once_it_stays_in_sync() -> None:
    it = machine()
    at, _ = fight(it, 0, 3)
    it.handle(Looked(edited()), at)
    assert alarms(it.handle(Looked(in_sync()), at + 60)) == []
    assert alarms(it.handle(Looked(in_sync()), at + 600 + 600)) == [None]
    _, commands = fight(it, at + 2000, 3)
    assert alarms(commands) == []


def test_a_heal_that_fails_alarms_and_is_tried_again() -> None:
    it = machine()
    it.handle(Looked(edited()), 0)
    it.handle(Looked(edited()), 60)
    assert it.handle(HealEnded("no space left"), 61) == [
        Alarm("drift could not be healed: no space left")
    ]
    it.handle(Looked(edited()), 62)
    assert not heals(it.handle(Looked(edited()), 120))
    assert heals(it.handle(Looked(edited()), 122))


def test_a_changed_binary_is_asked_once_and_not_healed() -> None:
    it = machine()
    changed = Finding(7, (State.BINARY_CHANGED,), binary="b2")
    assert it.handle(Looked(changed), 0) == [Report(changed), Reprobe("b2")]
    assert it.handle(Looked(changed), 100) == []


LOOKS = st.lists(
    st.tuples(
        st.sampled_from([in_sync, edited]),
        st.booleans(),
        st.booleans(),
        st.floats(0, 300),
        st.integers(0, 1),
    ),
    max_size=60,
)


@given(LOOKS)
def test_whatever_happens_a_heal_is_for_the_generation_of_that_very_look(
    looks: list[tuple[object, bool, bool, float, int]],
) -> None:
    it = machine()
    generation, now = 1, 0.0
    recent: list[float] = []
    for make, held, applying, passed, newer in looks:
        generation += newer
        now += passed
        finding = edited(generation) if make is edited else in_sync(generation)
        for heal in heals(it.handle(Looked(finding, held, applying), now)):
            assert heal.finding == finding
            assert heal.finding.generation == generation
            assert not held
            assert not applying
            recent = [at for at in recent if now - at <= 600] + [now]
            assert len(recent) <= 4
            it.handle(HealEnded(), now)


def test_a_heal_that_is_ordered_begins_at_once_whatever_the_policy_is() -> None:
    it = machine(Policy.REPORT)
    assert heals(it.handle(Looked(edited()), 100)) == []
    assert heals(it.handle(Looked(edited(), is_ordered=True), 101)) == [Heal(edited())]
    it.handle(HealEnded(), 102)
    assert heals(it.handle(Looked(edited()), 103)) == []


def test_a_heal_that_is_ordered_waits_for_no_back_off_but_for_a_hold() -> None:
    it = machine()
    it.handle(Looked(edited()), 0)
    assert heals(it.handle(Looked(edited()), 60))
    it.handle(HealEnded("disk full"), 61)
    assert heals(it.handle(Looked(edited()), 62)) == []
    assert heals(it.handle(Looked(edited(), is_held=True, is_ordered=True), 63)) == []
    assert heals(it.handle(Looked(edited(), is_ordered=True), 64)) == [Heal(edited())]
    assert it.handle(Looked(in_sync(), is_ordered=True), 65)[0] == Report(in_sync())
