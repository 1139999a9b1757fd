"""What agents measured, over a window."""

import math

import pytest

from headgate.master.domains.rollouts.figures import KEPT_S, Figures
from headgate.master.domains.rollouts.gates import judge
from headgate.master.domains.rollouts.spec import Gates


def _add(figures: Figures, agent: str, at: float, requests: float, **more: float) -> None:
    figures.add(agent, at, {"requests": requests} | more)


def test_a_window_counts_what_grew_in_it() -> None:
    figures = Figures()
    for step in range(10):
        _add(figures, "a", 100.0 + 10 * step, 1000.0 * step, errors=10.0 * step, latency_p99_ms=7.0)
    sample = figures.sample(["a", "unknown"], 150.0, 190.0)
    assert (sample.agents, sample.seconds, sample.oldest_at) == (1, 50.0, 190.0)
    # The last point before the window is where it begins.
    assert (sample.requests, sample.errors, sample.latency_ms) == (5000, 50, 7.0)


@pytest.mark.parametrize("until", [float(one) for one in range(46, 76)])
def test_agents_with_the_same_traffic_have_the_same_rate_whenever_they_report(until: float) -> None:
    figures = Figures()
    for step in range(5):
        _add(figures, "a", 15.0 * step, 150.0 * step)
        _add(figures, "b", 14.0 + 15.0 * step, 150.0 * step)
    one, two = (figures.sample([agent], until - 22.0, until) for agent in ("a", "b"))
    assert one.per_agent_second == two.per_agent_second == 10.0
    assert judge(one, two, Gates(min_requests=1), until).outcome == "pass"


@pytest.mark.parametrize("until", [float(one) for one in range(61, 92)])
def test_heartbeats_that_repeat_what_was_measured_are_no_time_without_traffic(until: float) -> None:
    figures = Figures()
    for at in range(0, 120, 10):
        for agent, shift in (("a", 0.0), ("b", 7.0)):
            measured_s = 15.0 * ((at + shift) // 15)
            _add(figures, agent, float(at), 10.0 * measured_s, measured_s=measured_s)
    for agent in ("a", "b"):
        sample = figures.sample([agent], until - 10.0, until)
        assert sample.agents == 0 or sample.per_agent_second in {0.0, 10.0}
        assert sample.requests == 10.0 * sample.seconds
    one, two = (figures.sample([agent], until - 30.0, until) for agent in ("a", "b"))
    assert one.per_agent_second == two.per_agent_second == 10.0
    assert judge(one, two, Gates(min_requests=1), until).outcome == "pass"


def test_a_fleet_that_is_younger_than_the_window_has_the_rate_of_its_life() -> None:
    figures = Figures()
    for step in range(3):
        _add(figures, "a", 3600.0 + 15.0 * step, 150.0 * step)
    assert figures.sample(["a"], 30.0, 3630.0).per_agent_second == 10.0


def test_a_node_that_began_anew_counts_from_nothing() -> None:
    figures = Figures()
    for at, requests in ((0.0, 500.0), (10.0, 600.0), (20.0, 30.0)):
        _add(figures, "a", at, requests)
    assert figures.sample(["a"], 0.0, 20.0).requests == 130


def test_an_upgrade_between_two_points_is_no_time_without_traffic() -> None:
    figures = Figures()
    for at in range(0, 50, 10):
        _add(figures, "a", float(at), 100.0 * at)
    _add(figures, "a", 50.0, 30.0)  # the new program has counted for a moment
    before = figures.sample(["a"], 0.0, 40.0)
    wave = figures.sample(["a"], 45.0, 50.0)
    assert (wave.requests, wave.paced, wave.seconds) == (30, 0, 0.0)
    assert judge(wave, before, Gates(min_requests=0), 50.0).outcome == "pass"
    assert judge(wave, before, Gates(min_requests=50), 50.0).outcome == "inconclusive"
    _add(figures, "a", 60.0, 1030.0)
    wave = figures.sample(["a"], 45.0, 60.0)
    assert (wave.paced, wave.per_agent_second) == (1000, 100.0)
    _add(figures, "a", 70.0, 1040.0)
    assert judge(figures.sample(["a"], 65.0, 70.0), before, Gates(), 70.0).outcome == "fail"


def test_latency_is_weighted_by_requests_and_draining_is_the_most() -> None:
    figures = Figures()
    for agent, rate, latency, draining in (("a", 300.0, 10.0, 1.0), ("b", 100.0, 50.0, 4.0)):
        for step in range(3):
            _add(
                figures, agent, 10.0 * step, rate * step, latency_p99_ms=latency, draining=draining
            )
    sample = figures.sample(["a", "b"], 0.0, 20.0)
    assert sample.latency_ms == pytest.approx(20.0)
    assert sample.draining == 4


def test_an_agent_that_fell_silent_before_the_window_gives_no_data() -> None:
    figures = Figures()
    _add(figures, "a", 0.0, 1.0)
    assert figures.sample(["a"], 60.0, 120.0).agents == 0


def test_agents_without_a_point_since_a_time_are_silent() -> None:
    figures = Figures()
    _add(figures, "a", 0.0, 1.0)
    _add(figures, "b", 60.0, 1.0)
    assert figures.silent(["a", "b", "unknown"], 60.0) == ("a", "unknown")


def test_what_is_no_number_counts_for_nothing() -> None:
    figures = Figures()
    for step in range(3):
        _add(figures, "a", 10.0 * step, 10.0 * step, errors=math.nan, latency_p99_ms=math.inf)
    sample = figures.sample(["a"], 0.0, 20.0)
    assert (sample.requests, sample.errors, sample.latency_ms) == (20, 0, 0.0)


def test_only_the_last_hour_is_kept_and_repeats_are_dropped() -> None:
    figures = Figures()
    for at in range(0, 8000, 5):
        _add(figures, "a", float(at), float(at))
        _add(figures, "a", float(at) + 1.0, float(at))
    assert figures.sample(["a"], 0.0, 8000.0).requests <= KEPT_S


@pytest.mark.parametrize("back_s", [5.5, 40.0, 600.0, 3600.0, KEPT_S + 10.0])
def test_a_clock_that_was_set_back_begins_anew(back_s: float) -> None:
    figures = Figures()
    for at in range(10_000, 13_605, 10):
        figures.notice(float(at))
        _add(figures, "a", float(at), 100.0 * at)
    now = 13_600.0 - back_s
    figures.notice(now)
    assert figures.silent(["a"], now - 45.0) == ("a",)
    assert figures.sample(["a"], 0.0, now).agents == 0
    for step in range(1, 4):
        figures.notice(now + 5.0 * step)
        _add(figures, "a", now + 5.0 * step, 1e9 * step, errors=1e9 * step)
    assert figures.silent(["a"], now) == ()
    sample = figures.sample(["a"], now - 300.0, now + 15.0)
    assert (sample.error_share, sample.seconds, sample.oldest_at) == (1.0, 10.0, now + 15.0)


def test_a_clock_that_is_corrected_by_a_little_loses_nothing() -> None:
    figures = Figures()
    for at in (100.0, 110.0, 120.0):
        figures.notice(at)
        _add(figures, "a", at, at)
    figures.notice(117.0)
    _add(figures, "a", 117.0, 200.0)
    assert figures.sample(["a"], 0.0, 120.0).requests == 20


def test_what_is_heard_late_does_not_look_as_if_the_clock_was_set_back() -> None:
    figures = Figures()
    figures.notice(100.0)
    _add(figures, "a", 100.0, 50.0)
    figures.notice(110.0)
    _add(figures, "b", 60.0, 70.0)
    _add(figures, "a", 60.0, 70.0)
    assert figures.sample(["a", "b"], 0.0, 110.0).agents == 2


def test_agents_that_are_gone_are_forgotten() -> None:
    figures = Figures()
    _add(figures, "gone", 0.0, 1.0)
    _add(figures, "here", 10.0, 1.0)
    _add(figures, "here", KEPT_S + 5.0, 2.0)
    assert figures.sample(["gone", "here"], 0.0, KEPT_S + 5.0).agents == 1
