"""Retries of a program: how many, after which waits, and what pays for them."""

import asyncio
import time

import loops
import pytest

from headgate import Retry, RetryBudget


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits, of which none is waited for."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(time, "sleep", found.append)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return found


class Failing:
    """Fails so often, and then answers."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left = times
        self.error = error

    def __call__(self) -> str:
        if self.left:
            self.left -= 1
            raise self.error
        return "here"


def test_waits_grow_up_to_the_longest(waits: list[float]) -> None:
    retry = Retry(retries=5, base_s=0.1, max_s=0.5, jitter=False, on=OSError)
    assert retry.call(Failing(5, OSError())) == "here"
    assert waits == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_the_last_failure_is_the_callers(waits: list[float]) -> None:
    failing = Failing(3, OSError("down"))
    with pytest.raises(OSError, match="down"):
        Retry(retries=2).call(failing)
    assert (len(waits), failing.left) == (2, 0)


def test_other_errors_are_not_worth_a_retry(waits: list[float]) -> None:
    with pytest.raises(KeyError):
        Retry(on=OSError).call(Failing(1, KeyError("x")))
    assert waits == []


def test_jitter_stays_below_the_wait(waits: list[float]) -> None:
    for _ in range(200):
        Retry(retries=1, base_s=0.2, max_s=0.2).call(Failing(1, OSError()))
    assert all(0 <= wait <= 0.2 for wait in waits)
    assert len(set(waits)) > 20


def test_what_the_other_side_asks_for_is_not_cut_short(waits: list[float]) -> None:
    retry = Retry(retries=1, jitter=False, retry_after_s=lambda error: 7.0)
    retry.call(Failing(1, OSError()))
    assert waits[0] >= 7.0


def test_functions_of_both_kinds_are_called_again(waits: list[float]) -> None:
    failing = Failing(1, OSError())

    @Retry(retries=1)
    def fetch() -> str:
        return failing()

    @Retry(retries=1)
    async def later() -> str:
        return failing()

    assert fetch() == "here"
    failing.left = 1
    assert loops.run(later()) == "here"
    assert len(waits) == 2


def test_a_budget_stops_a_storm(waits: list[float]) -> None:
    budget = RetryBudget(ratio=0.1, per_second=0, clock=lambda: 5.0)
    retry = Retry(retries=3, budget=budget)
    tried = 0
    for _ in range(100):
        failing = Failing(9, OSError())
        with pytest.raises(OSError):
            retry.call(failing)
        tried += 9 - failing.left
    assert len(waits) == 10
    assert tried == 110
    assert budget.left == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"retries": 101}, "retries is 101; write 0 to 100"),
        ({"base_s": 2.0, "max_s": 1.0}, r"base_s is 2.0; write 0.001 to 1.0"),
        ({"factor": 0.5}, "factor is 0.5; write 1 to 100"),
    ],
)
def test_what_makes_no_retry_is_refused(given: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Retry(**given)  # type: ignore[arg-type]
