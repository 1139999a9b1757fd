"""When applies begin: debounced, spaced, budgeted, the latest wish first and only."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.apply.schedule import Pace, Schedule


def test_a_wish_waits_shortly_for_others() -> None:
    schedule: Schedule[str] = Schedule(Pace())
    assert schedule.due(0.0) is None
    assert schedule.offer("a", 10.0) is None
    assert schedule.due(10.0) == 10.1
    assert schedule.take(10.05) is None
    assert schedule.take(10.1) == "a"
    assert schedule.due(11.0) is None


def test_the_latest_wins_and_gets_what_it_replaced() -> None:
    schedule: Schedule[str] = Schedule(Pace())
    schedule.offer("a", 0.0)
    assert schedule.offer("b", 0.05) == "a"
    assert schedule.take(0.2) == "b"


def test_endpoints_alone_wait_a_second_and_never_longer_than_five() -> None:
    schedule: Schedule[int] = Schedule(Pace())
    for step in range(60):
        schedule.offer(step, step * 0.5, endpoints_only=True)
        due = schedule.due(step * 0.5)
        assert due is not None and due <= max(5.0, step * 0.5)


def test_another_change_does_not_wait_for_endpoints() -> None:
    schedule: Schedule[str] = Schedule(Pace())
    schedule.offer("endpoints", 0.0, endpoints_only=True)
    assert schedule.due(0.0) == 1.0
    schedule.offer("both", 0.2)
    assert schedule.due(0.2) is not None
    assert schedule.take(0.31) == "both"


def test_nothing_begins_while_one_is_at_work_and_then_only_after_a_while() -> None:
    schedule: Schedule[str] = Schedule(Pace(interval_s=0.5, interval_applies=3.0))
    schedule.offer("a", 0.0)
    schedule.take(0.1)
    schedule.offer("b", 0.2)
    assert schedule.due(5.0) is None
    schedule.finished(0.1, 1.1)
    assert schedule.due(1.1) == 2.1
    assert schedule.take(2.1) == "b"
    schedule.finished(2.1, 2.2)
    schedule.offer("c", 2.2)
    assert schedule.due(2.2) == 2.7


def test_a_single_change_waits_at_most_a_second_however_long_applies_take() -> None:
    schedule: Schedule[str] = Schedule(Pace())
    schedule.offer("a", 0.0)
    schedule.take(0.1)
    schedule.finished(0.1, 10.1)
    schedule.offer("b", 10.1)
    due = schedule.due(10.1)
    assert due is not None and due <= 11.1


def test_an_urgent_wish_waits_for_what_is_at_work_only() -> None:
    schedule: Schedule[str] = Schedule(Pace(per_minute=1, interval_s=100.0))
    schedule.offer("a", 0.0, urgent=True)
    assert schedule.take(0.0) == "a"
    schedule.offer("b", 0.1)
    schedule.offer("c", 0.2, urgent=True)
    assert schedule.due(0.3) is None
    schedule.finished(0.0, 0.4)
    assert schedule.take(0.4) == "c"


def test_the_budget_counts_what_began_in_the_last_minute() -> None:
    schedule: Schedule[str] = Schedule(Pace(interval_applies=0.0, debounce_s=0.0, per_minute=2))
    for at in (0.0, 30.0):
        schedule.offer("a", at)
        assert schedule.take(at) == "a"
        schedule.finished(at, at)
    assert [schedule.used(at) for at in (30.0, 59.9)] == [2, 2]
    schedule.offer("b", 59.0)
    assert schedule.due(59.0) == 60.0
    assert [schedule.used(at) for at in (60.0, 89.9, 90.0)] == [1, 1, 0]
    assert schedule.take(60.0) == "b"


# Sums of these are exact; else a gap of just a minute is one or none, by its rounding.
GAPS = st.integers(0, 5 * 1024).map(lambda count: count / 1024)


@given(st.lists(GAPS, min_size=1, max_size=200), st.integers(1, 5))
def test_the_budget_of_a_minute_is_never_overspent(gaps: list[float], budget: int) -> None:
    schedule: Schedule[int] = Schedule(Pace(interval_applies=0.0, per_minute=budget))
    now = 0.0
    begun: list[float] = []
    for number, gap in enumerate(gaps):
        now += gap
        schedule.offer(number, now)
        if schedule.take(now) is not None:
            begun.append(now)
            schedule.finished(now, now)
    for at in begun:
        assert sum(at - 60 < other <= at for other in begun) <= budget
