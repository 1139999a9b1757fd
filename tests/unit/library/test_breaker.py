"""A breaker of a program opens, lets one try through, and closes; its clock is the test's."""

from contextlib import ExitStack

import loops
import pytest

from headgate import CircuitBreaker, OpenError


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(breaker: CircuitBreaker, error: type[Exception] = ConnectionError) -> None:
    with pytest.raises(error), breaker.guard():
        raise error


def test_it_opens_after_failures_in_a_row_and_closes_after_a_success() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=2, open_s=30, clock=clock)
    fail(breaker)
    with breaker.guard():
        pass
    fail(breaker)
    assert breaker.state == "closed", "the success was between them"
    fail(breaker)
    assert breaker.state == "open"
    with pytest.raises(OpenError, match="for 30 s more") as refused, breaker.guard():
        pytest.fail("it is open")
    assert refused.value.retry_after_s == 30
    clock.now += 30
    with breaker.guard():
        assert breaker.state == "half-open"
        with pytest.raises(OpenError), breaker.guard():
            pytest.fail("one try at a time")
    assert breaker.state == "closed"


def test_a_failed_trial_opens_it_again() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=1, open_s=1, clock=clock)
    fail(breaker)
    clock.now += 1
    fail(breaker)
    assert breaker.state == "open"


def test_errors_of_other_kinds_say_nothing() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=1, open_s=1, failed_by=ConnectionError, clock=clock)
    fail(breaker, KeyError)
    assert breaker.state == "closed"
    fail(breaker)
    clock.now += 1
    fail(breaker, KeyError)
    with breaker.guard():
        pass
    assert breaker.state == "closed", "the trial that said nothing gave its place back"


def test_a_share_of_failures_opens_it() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=0, error_percent=50, requests=10, clock=clock)
    for turn in range(9):
        if turn % 2:
            fail(breaker)
        else:
            with breaker.guard():
                pass
    assert breaker.state == "closed", "nine are too few"
    fail(breaker)
    assert breaker.state == "open"


def test_tries_from_before_it_opened_are_in_no_share_once_it_has_closed() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=0, error_percent=50, requests=10, open_s=30, clock=clock)
    with pytest.raises(ConnectionError), ExitStack() as old:
        for _ in range(20):
            old.enter_context(breaker.guard())
        for _ in range(10):
            fail(breaker)
        assert breaker.state == "open"
        clock.now += 30
        with breaker.guard():
            pass
        assert breaker.state == "closed"
        raise ConnectionError
    assert breaker.state == "closed"


def test_a_try_that_takes_longer_than_it_stays_open_closes_it() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=1, open_s=1, clock=clock)
    fail(breaker)
    clock.now += 1
    with ExitStack() as slow, ExitStack() as other:
        slow.enter_context(breaker.guard())
        clock.now += 2
        other.enter_context(breaker.guard())
        slow.close()
        assert breaker.state == "closed"


def test_it_guards_functions_of_both_kinds() -> None:
    breaker = CircuitBreaker(failures=2, open_s=60)

    @breaker
    def half(number: int) -> float:
        return 1 / number

    @breaker
    async def later(number: int) -> float:
        return half(number)

    assert half(2) == loops.run(later(2)) == 0.5
    with pytest.raises(ZeroDivisionError):
        loops.run(later(0))
    with pytest.raises(OpenError):
        half(2)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"failures": -1}, "failures is -1; write 0 to 65535"),
        ({"open_s": 0}, "open_s is 0; write 0.001 to 86400"),
        ({"window_s": 61}, "window_s is 61; write 1 to 60"),
        ({"failures": 0}, "nothing opens the breaker"),
    ],
)
def test_what_makes_no_breaker_is_refused(given: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        CircuitBreaker(**given)  # type: ignore[arg-type]
