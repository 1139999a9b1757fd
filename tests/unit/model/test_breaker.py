"""`circuit_breaker`: what it becomes in the plan, and what is refused with its place."""

import pytest
from one_upstream import loaded, upstream

from headgate.plan.objects import CircuitBreaker


def test_a_breaker_has_the_cores_defaults_and_every_key() -> None:
    assert upstream("").health.breaker is None
    assert upstream("circuit_breaker = {}").health.breaker == CircuitBreaker()
    made = upstream(
        'circuit_breaker = { per = "upstream", failures = "off", open_for = "1500ms", '
        "successes = 3, probes = 4, error_percent = 50, slow_percent = 80, "
        'slow_after = "250ms", requests = 7, window = "1500ms" }'
    )
    assert made.health.breaker == CircuitBreaker("upstream", 0, 1500, 3, 4, 50, 80, 250, 7, 2)


@pytest.mark.parametrize(
    ("rest", "wrong"),
    [
        ('{ failures = "off" }', "circuit_breaker: nothing opens the breaker; give a number to"),
        (
            "{ failures = 0 }",
            'failures: 0 is not a limit; write a whole number from 1 to 1000, or "off"',
        ),
        ("{ failures = 1001 }", "failures: 1001 is not a limit"),
        ("{ error_percent = 101 }", "error_percent: 101 is not a percentage"),
        ("{ successes = 0 }", "circuit_breaker.successes: "),
        ("{ probes = 101 }", "circuit_breaker.probes: "),
        ('{ per = "route" }', "circuit_breaker.per: "),
        ('{ error_percent = 5, window = "61s" }', 'window: "61s" is not a window'),
        ('{ error_percent = 5, window = "999ms" }', 'window: "999ms" is not a window'),
        ("{ requests = 9 }", "requests: `requests` does nothing without"),
        ('{ window = "9s" }', "window: `window` does nothing without"),
        (
            '{ error_percent = 5, slow_after = "9s" }',
            "slow_after: `slow_after` does nothing without",
        ),
        ("{ threshold = 9 }", "circuit_breaker.threshold"),
    ],
)
def test_a_wrong_breaker_is_one_error_at_its_place(rest: str, wrong: str) -> None:
    (error,) = loaded(f"circuit_breaker = {rest}").errors
    assert wrong in str(error)
