"""Buckets, back-off, debounce: with a clock and dice of the test."""

from hypothesis import given
from hypothesis import strategies as st

from headgate.fleet.pacing import Backoff, Debounce, Jitter, TokenBucket, age_s


@given(st.lists(st.tuples(st.floats(0.1, 50), st.floats(0, 3)), max_size=40))
def test_a_bucket_never_gives_more_than_burst_and_rate(takes: list[tuple[float, float]]) -> None:
    bucket, now, given_out = TokenBucket(10, 20), 0.0, 0.0
    for amount, pause in takes:
        now += pause
        if bucket.take(amount, now) == 0.0:
            # One that is larger than the bucket is let through when it is full.
            assert given_out + min(amount, 20) <= 20 + 10 * now + 1e-6
            given_out += amount


def test_a_bucket_says_how_long_to_wait() -> None:
    bucket = TokenBucket(10, 20)
    assert bucket.take(20, 1.0) == 0
    assert bucket.take(5, 1.0) == 0.5
    assert bucket.take(5, 1.5) == 0
    assert TokenBucket(10, 20).take(100, 0) == 0


def test_jitter_is_full_and_grows_to_a_minute() -> None:
    waits = Jitter(lambda: 0.999999)
    assert [round(waits.wait_s()) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    waits.reset()
    assert round(waits.wait_s()) == 1
    assert Jitter(lambda: 0.0).wait_s() == 0


def test_backoff_grows_from_5_s_to_5_min() -> None:
    waits = Backoff()
    assert [waits.wait_s() for _ in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]


def test_debounce_waits_for_quiet_but_not_for_ever() -> None:
    changes = Debounce()
    assert changes.due is None
    changes.touch(10.0)
    changes.touch(10.05)
    assert changes.due == 10.15
    assert not changes.settle(10.1)
    assert changes.settle(10.15)
    assert changes.due is None
    for step in range(100):
        changes.touch(20 + step * 0.09)
    assert changes.due == 25.0


def test_a_connection_lasts_30_min_give_or_take_a_fifth() -> None:
    assert (age_s(lambda: 0.0), age_s(lambda: 0.5)) == (1440.0, 1800.0)
    assert 2159 < age_s(lambda: 0.9999) < 2160
