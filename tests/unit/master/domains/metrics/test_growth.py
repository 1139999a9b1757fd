"""Counters become what was served, in slots."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.fleet.frames import Heartbeat, Held, Latency
from headgate.fleet.latency import BOUNDS_S, BUCKETS
from headgate.master.domains.metrics.growth import (
    KEPT_MS,
    LONG_MS,
    SHORT_MS,
    Counters,
    Growth,
    Slot,
    counters_of,
    grown,
    is_newer,
    slots,
)
from headgate.master.domains.metrics.tally import Tally, added

NOW = 1_800_000_000_000


def looked(at: int, requests: int, began: int | None = NOW, **more: int) -> Counters:
    """A look of an engine that answers everything in the first bucket."""
    fields: dict[str, Any] = {
        "connections": 0,
        "client_errors": 0,
        "server_errors": 0,
        "endpoint_failures": 0,
    }
    latency = (requests, *(0,) * (BUCKETS - 1))
    return Counters(
        measured_at=NOW + at, began_at=began, requests=requests, latency=latency, **fields | more
    )


def test_a_heartbeat_says_when_it_looked() -> None:
    figures = {"requests": 9.0, "errors": 2.0, "errors_4xx": 3.0, "connections": 4.0}
    counts = (5, 3, *(0,) * (BUCKETS - 2))
    beat = Heartbeat(
        Held(),
        figures=figures | {"uptime_s": 2.5},
        latency=Latency(BOUNDS_S, counts),
        figures_age_ms=700,
    )
    found = counters_of(beat, NOW)
    assert found == Counters(
        measured_at=NOW - 700,
        began_at=NOW - 3_200,
        connections=4,
        requests=8,  # of the buckets: they lose nothing when an upstream is removed
        client_errors=3,
        server_errors=2,
        endpoint_failures=None,
        latency=counts,
        judged={"requests": 9.0, "errors": 2.0},
    )


def test_an_agent_of_an_older_version_says_less() -> None:
    found = counters_of(Heartbeat(Held(), figures={"requests": 9.0, "errors": 1.0}), NOW)
    assert found is not None
    assert (found.measured_at, found.began_at, found.requests) == (NOW, None, 9)
    assert (found.client_errors, found.latency) == (None, ())
    assert counters_of(Heartbeat(Held()), NOW) is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -3.0])
def test_numbers_that_are_none_count_nothing(bad: float) -> None:
    found = counters_of(Heartbeat(Held(), figures={"requests": bad, "uptime_s": bad}), NOW)
    assert found is not None
    assert found.requests == 0


def test_numbers_without_measure_stay_in_bounds() -> None:
    huge = (1 << 63,) * BUCKETS
    figures = {"requests": 1.0, "connections": 1e300, "uptime_s": 1e307, "errors": 1e300}
    beat = Heartbeat(Held(), figures=figures, latency=Latency(BOUNDS_S, huge))
    found = counters_of(beat, NOW)
    assert found is not None
    assert found.requests == 1 << 53
    assert found.server_errors == 1 << 53
    growth = grown(None, found)
    assert growth is not None
    assert all(part.requests < 1 << 63 for part in slots(growth).values())


def test_what_was_served_is_the_difference_of_two_looks() -> None:
    before = looked(0, 100, server_errors=3, connections=9)
    now = looked(15_000, 130, server_errors=4, client_errors=2, connections=2)
    growth = grown(before, now)
    assert growth is not None
    assert (growth.since, growth.until) == (NOW, NOW + 15_000)
    tally = growth.tally
    assert (tally.requests, tally.server_errors, tally.client_errors) == (30, 1, 2)
    assert (tally.covered_ms, tally.connection_ms) == (15_000, 30_000)
    assert sum(tally.latency) == 30


def test_the_first_look_counts_since_the_engine_began() -> None:
    assert grown(None, looked(9_000, 7)) == Growth(
        NOW,
        NOW + 9_000,
        grown(looked(0, 0), looked(9_000, 7)).tally,  # type: ignore[union-attr]
    )
    assert grown(None, looked(9_000, 7, None)) is None


def test_an_engine_that_began_anew_has_served_all_that_it_counts() -> None:
    growth = grown(looked(0, 100), looked(15_000, 120, NOW + 5_000))
    assert growth is not None
    assert (growth.since, growth.tally.requests) == (NOW + 5_000, 120)
    # Nobody says when it began, but its buckets fell.
    growth = grown(looked(0, 100, None), looked(15_000, 20, None))
    assert growth is not None
    assert (growth.since, growth.tally.requests) == (NOW, 20)


def test_a_counter_that_lost_an_upstream_counts_nothing() -> None:
    growth = grown(looked(0, 100, server_errors=50), looked(15_000, 110, server_errors=10))
    assert growth is not None
    assert (growth.tally.requests, growth.tally.server_errors) == (10, 0)


def test_other_latency_buckets_count_no_request_twice() -> None:
    began = NOW - 60_000
    before = looked(0, 100, began, server_errors=50)
    moved = (0, 0, 110, *(0,) * (BUCKETS - 3))
    now = looked(15_000, 110, began, server_errors=51)._replace(latency=moved)
    growth = grown(before, now)
    assert growth is not None
    assert (growth.since, growth.tally.requests, growth.tally.server_errors) == (NOW, 10, 1)
    assert growth.tally.latency == ()
    later = now._replace(measured_at=NOW + 30_000, requests=111, latency=(1, *moved[1:]))
    after = grown(now, later)
    assert after is not None
    assert (after.tally.requests, sum(after.tally.latency)) == (1, 1)


def test_an_agent_that_was_upgraded_has_no_buckets_of_before() -> None:
    before = looked(0, 100)._replace(latency=(), client_errors=None)
    growth = grown(before, looked(15_000, 130, client_errors=9))
    assert growth is not None
    assert (growth.tally.requests, growth.tally.latency) == (30, ())
    assert growth.tally.client_errors == 0


def test_repeated_and_late_looks_are_not_newer() -> None:
    last = looked(15_000, 5)
    assert not is_newer(last, looked(15_400, 5))
    assert not is_newer(last, looked(2_000, 5))
    assert is_newer(last, looked(16_000, 5))
    # The master's clock was set back by more than any way through another master takes.
    assert is_newer(last, looked(-3_600_000, 6))
    assert grown(last, looked(-3_600_000, 6, None)) is None


def test_the_usual_look_belongs_to_one_slot() -> None:
    tally = Tally(covered_ms=15_000, requests=4)
    assert slots(Growth(NOW + 6_000, NOW + 21_000, tally)) == {Slot(SHORT_MS, NOW): tally}


def test_what_was_served_unseen_is_spread() -> None:
    found = slots(Growth(NOW, NOW + 60_000, Tally(60_000, requests=10)))
    assert [(slot.at - NOW, tally.requests) for slot, tally in found.items()] == [
        (0, 2),
        (15_000, 3),
        (30_000, 2),
        (45_000, 3),
    ]
    found = slots(Growth(NOW, NOW + 2 * LONG_MS, Tally(requests=10)))
    assert set(found) == {Slot(LONG_MS, NOW), Slot(LONG_MS, NOW + LONG_MS)}


def test_what_is_older_than_a_day_is_left_out() -> None:
    found = slots(Growth(NOW - 3 * KEPT_MS, NOW, Tally(requests=300)))
    assert added(found.values()).requests == 100
    assert min(slot.at for slot in found) == NOW - KEPT_MS


@given(st.integers(1, KEPT_MS), st.integers(0, SHORT_MS), st.integers(0, 1 << 40))
def test_slots_lose_nothing_and_do_not_overlap(length: int, begin: int, requests: int) -> None:
    since = NOW + begin
    found = slots(Growth(since, since + length, Tally(length, 3 * length, requests)))
    assert added(found.values()) == Tally(length, 3 * length, requests)
    assert len({slot.length for slot in found}) == 1
    assert all(slot.at % slot.length == 0 for slot in found)
    assert len(found) <= KEPT_MS // LONG_MS + 1
