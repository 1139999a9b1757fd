"""`retry` of a route: what it becomes in the plan, and what is refused with its place."""

from pathlib import PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import (
    OnlyMethods,
    Retry,
    RetryBackoff,
    RetryBudget,
    RetryHedge,
    Route,
)

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[upstreams.u]
endpoints = ["127.0.0.1:1"]
[routes.all]
"""


def loaded(rest: str) -> Loaded:
    return load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE + rest}), {})


def retry(rest: str) -> Retry | None:
    found = loaded(f'upstream = "u"\n{rest}')
    assert found.plan is not None, [str(one) for one in found.errors]
    value = found.plan.objects[ObjectKey("route", ObjectName("all"))].value
    assert isinstance(value, Route)
    return value.retry


def test_an_empty_policy_takes_the_cores_defaults() -> None:
    assert retry("") is None
    assert retry("retry = {}") == Retry()


def test_every_key_reaches_the_plan() -> None:
    made = retry(
        'retry = { retries = 5, on = ["reset", 503, "503", "5xx"], methods = "all", '
        'backoff = { base = "100ms", factor = 1.5, max = "1s", jitter = "none" }, '
        'budget = { percent = "off", per_second = 10 } }'
    )
    backoff = RetryBackoff(base_ms=100, factor_percent=150, max_ms=1_000, jitter=False)
    assert made == Retry(5, ("503", "5xx", "reset"), "all", backoff, RetryBudget(0, 10))


def test_a_hedge_begins_after_a_time_or_the_p95() -> None:
    assert retry("retry = { hedge = {} }") == Retry(hedge=RetryHedge())
    assert retry('retry = { hedge = { after = "p95" } }') == Retry(hedge=RetryHedge())
    assert retry('retry = { hedge = { after = "1.5s" } }') == Retry(hedge=RetryHedge(1_500))


def test_what_is_always_tried_again_may_be_written_and_changes_nothing() -> None:
    assert retry('retry = { on = ["connect-failure", "refused-stream"] }') == Retry()
    assert retry('retry = { on = "503" }') == Retry(on=("503",))


def test_codes_of_grpc_are_reasons_to_try_again() -> None:
    made = retry('retry = { on = ["grpc-unavailable", "grpc-data-loss", "503"] }')
    assert made == Retry(on=("503", "grpc-data-loss", "grpc-unavailable"))


def test_methods_of_a_list_are_sorted_and_distinct() -> None:
    made = retry('retry = { methods = ["POST", "GET", "POST"] }')
    assert made == Retry(methods=OnlyMethods(("GET", "POST")))


@pytest.mark.parametrize(
    ("written", "path", "wrong"),
    [
        ('on = ["503", "5XX"]', "retry.on[1]", '"5XX" is no reason to try again; write "5xx"'),
        ("on = [302]", "retry.on[0]", '302 is no reason to try again; write "connect-failure"'),
        ('on = "grpc-unavailible"', "retry.on[0]", 'no reason to try again; write "grpc-unavail'),
        ('on = "grpc-ok"', "retry.on[0]", '"grpc-ok" is no reason to try again'),
        ("on = [true]", "retry.on[0]", "true is no reason to try again"),
        ("retries = 0", "retry.retries", "0 is out of range"),
        ("retries = 11", "retry.retries", "11 is out of range"),
        ('methods = "post"', "retry.methods", '"post" does not say which methods; write "idem'),
        ("methods = []", "retry.methods", "a list does not say which methods"),
        ('methods = ["GET", "PURGE"]', "retry.methods", '"PURGE" is not a method that can be'),
        ("backoff = { factor = 0.5 }", "retry.backoff.factor", "0.5 is out of range; write a num"),
        ("backoff = { factor = true }", "retry.backoff.factor", "true is not a factor"),
        ('backoff = { max = "6m" }', "retry.backoff.max", '"6m" is longer than a back-off may be'),
        ('backoff = { base = "1s" }', "retry.backoff.base", "the longest wait is shorter than th"),
        ('backoff = { jitter = "half" }', "retry.backoff.jitter", '"half"'),
        ("budget = { percent = 101 }", "retry.budget.percent", "101 is not a percentage"),
        (
            'budget = { percent = "off", per_second = "off" }',
            "retry.budget",
            "a budget of nothing allows no retry; give one of the two a number",
        ),
        ("tries = 2", "retry.tries", "the key is unknown"),
        ('hedge = { after = "p99" }', "retry.hedge.after", '"p99" is not a duration; write "p95"'),
        ('hedge = { after = "0s" }', "retry.hedge.after", '"0s" is a duration of zero; write "p95'),
        ("hedge = { after = 5 }", "retry.hedge.after", '5 is not a duration; write "p95", or a n'),
    ],
)
def test_a_wrong_policy_is_one_error_at_its_place(written: str, path: str, wrong: str) -> None:
    (error,) = loaded(f'upstream = "u"\nretry = {{ {written} }}').errors
    assert f"routes.all.{path}" in str(error)
    assert wrong in str(error)


@pytest.mark.parametrize("answer", ["respond = { status = 204 }", 'redirect = { path = "/x" }'])
def test_a_route_that_answers_by_itself_has_nothing_to_try_again(answer: str) -> None:
    (error,) = loaded(f"{answer}\nretry = {{}}").errors
    assert "routes.all.retry: the route answers by itself" in str(error)


@pytest.mark.parametrize("action", ['upstream = "h"', 'split = [{ upstream = "h" }]'])
def test_a_hedge_towards_http2_is_refused_until_the_upstream_speaks_http1(action: str) -> None:
    rest = f'{action}\nretry = {{ hedge = {{}} }}\n[upstreams.h]\nendpoints = ["127.0.0.1:2"]\n'
    (error,) = loaded(rest + 'protocol = "h2c"\n').errors
    assert 'routes.all.retry.hedge: upstream "h" speaks "h2c"' in str(error)
    assert not loaded(rest).errors
