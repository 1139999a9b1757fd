"""A program's rates: by key, exact over time, in a table that never grows."""

import copy
import inspect
import math
import pickle
from dataclasses import replace
from fractions import Fraction

import pytest

from headgate import RateLimiter


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_the_rate() -> None:
    clock = Clock()
    limiter = RateLimiter(requests=5, burst=3, clock=clock)
    assert [limiter.check("a") for _ in range(4)] == [True, True, True, False]
    passed = 0
    for _ in range(1000):
        clock.now += 0.01
        passed += limiter.check("a")
    assert passed == 50, "five a second for ten seconds"


def test_a_refusal_says_when_it_would_have_passed() -> None:
    clock = Clock()
    limiter = RateLimiter(requests=2, burst=2, clock=clock)
    first = limiter.decide("a", cost=2)
    assert (first.allowed, first.remaining, first.retry_after_s) == (True, 0, 0)
    assert first.full_after_s == 1.0
    refused = limiter.decide("a")
    assert not refused.allowed
    clock.now += refused.retry_after_s
    assert limiter.check("a")
    assert not limiter.check("a", cost=3), "above the burst"


def test_clients_of_one_network_count_as_one() -> None:
    limiter = RateLimiter(requests=1, clock=Clock())
    assert limiter.check("2001:db8:1:2::1")
    assert not limiter.check("2001:db8:1:2:ffff::2")
    assert limiter.check("2001:db8:1:3::1")
    assert limiter.check("192.0.2.1")
    assert not limiter.check("::ffff:192.0.2.1")


def test_a_full_table_forgets_and_says_so() -> None:
    limiter = RateLimiter(requests=1, per_s=3600, keys=8, clock=Clock())
    assert all(limiter.check(f"key {number}") for number in range(1000))
    assert limiter.evictions > 900


def test_without_a_clock_time_passes_by_itself() -> None:
    limiter = RateLimiter(requests=1, per_s=86_400)
    assert limiter.check("a")
    assert not limiter.check("a")
    assert 86_000 < limiter.decide("a").retry_after_s <= 86_400


@pytest.mark.parametrize("given", [{"requests": 0}, {"per_s": 0.5}, {"burst": 0}, {"keys": 7}])
def test_what_makes_no_limit_is_refused(given: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(given))} is .*; write "):
        RateLimiter(**{"requests": 1} | given)  # type: ignore[arg-type]


def test_a_call_takes_its_arguments_by_name_and_by_place() -> None:
    limiter = RateLimiter(requests=1, burst=4, clock=Clock())
    assert str(inspect.signature(RateLimiter.check)) == "(self, /, key, cost=1)"
    assert limiter.check("a", 2)
    assert limiter.check(key="a", cost=2)
    assert not limiter.check("a")
    assert RateLimiter.check(limiter, "b")
    with pytest.raises(TypeError):
        limiter.check()  # type: ignore[call-arg]


def test_a_fraction_of_a_microsecond_is_rounded_as_python_rounds() -> None:
    now: list[float | int | Fraction] = [Fraction(5, 2)]
    limiter = RateLimiter(requests=1_000_000, clock=lambda: now[0])  # type: ignore[arg-type, return-value]
    assert limiter.check("a")
    now[0] = 2.500_000_5
    assert not limiter.check("a"), "rounded to the even microsecond, at which nothing is earned"
    now[0] = 2.500_001
    assert limiter.check("a")
    now[0] = 3
    assert limiter.check("a")


@pytest.mark.parametrize("now", [-1.0, -1e-6, math.inf, math.nan, 1e20])
def test_a_clock_counts_from_0_up(now: float) -> None:
    limiter = RateLimiter(requests=1, clock=lambda: now)
    for ask in (limiter.check, limiter.decide):
        with pytest.raises(ValueError, match=r"the clock is at .* s; it must count from 0 up"):
            ask("a")


def test_what_a_clock_raises_is_the_callers() -> None:
    def broken() -> float:
        raise OSError("no clock")

    with pytest.raises(OSError, match="no clock"):
        RateLimiter(requests=1, clock=broken).check("a")
    with pytest.raises(TypeError):
        RateLimiter(requests=1, clock=lambda: "now").check("a")  # type: ignore[arg-type, return-value]


def test_copies_count_by_themselves() -> None:
    limiter = RateLimiter(requests=1, per_s=60)
    assert limiter.evictions == 0
    assert limiter.check("a")
    copies = [
        copy.copy(limiter),
        copy.deepcopy(limiter),
        pickle.loads(pickle.dumps(limiter)),  # noqa: S301 - its own
        replace(limiter),
    ]
    for one in copies:
        assert one == limiter
        assert [one.check("a"), one.check("a")] == [True, False]
    assert not limiter.check("a")
