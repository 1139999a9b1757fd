"""`adaptive_concurrency`: what it becomes in the plan, and what is refused with its place."""

import pytest
from one_upstream import loaded, upstream

from headgate.plan.objects import AdaptiveConcurrency


def test_it_is_off_unless_it_is_written() -> None:
    assert upstream("").health.concurrency is None
    assert upstream("adaptive_concurrency = {}").health.concurrency == AdaptiveConcurrency()


def test_every_key_reaches_the_plan() -> None:
    made = upstream("adaptive_concurrency = { initial = 8, min = 2, max = 64 }")
    assert made.health.concurrency == AdaptiveConcurrency(8, 2, 64)


@pytest.mark.parametrize(
    ("written", "path", "wrong"),
    [
        ("{ initial = 2 }", ".initial", "2 is not between 4 and 1000; write `initial` from `min`"),
        ("{ max = 10 }", "", "20 is not between 4 and 10"),
        ("{ min = 0 }", ".min", ""),
        ("{ most = 5 }", ".most", "the key is unknown"),
    ],
)
def test_a_wrong_limit_is_one_error_at_its_place(written: str, path: str, wrong: str) -> None:
    (error,) = loaded(f"adaptive_concurrency = {written}").errors
    assert f"upstreams.u.adaptive_concurrency{path}: " in str(error)
    assert wrong in str(error)
