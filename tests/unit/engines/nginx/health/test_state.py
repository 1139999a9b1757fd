"""The state of an nginx in the words of every engine."""

import os

import pytest

from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.health.state import state_of
from headgate.engines.nginx.instance.procfs import Procfs, started_at


@pytest.mark.parametrize(
    ("runs", "trouble", "serves", "has_release", "state"),
    [
        (False, "", True, True, "down"),
        (False, "two masters", True, True, "down"),
        (True, "stopped", True, True, "degraded"),
        (True, "", True, True, "serving"),
        (True, "", False, True, "degraded"),
        (True, "", False, False, "waiting"),
    ],
)
def test_the_worst_fact_names_the_state_and_all_but_serving_have_a_reason(
    runs: bool, trouble: str, serves: bool, has_release: bool, state: str
) -> None:
    found, why = state_of(runs=runs, trouble=trouble, serves=serves, has_release=has_release)
    assert found == state
    assert bool(why) == (state != "serving")
    assert trouble in why


def test_the_start_of_a_process_is_a_time_before_now() -> None:
    seen = Procfs().look(os.getpid())
    assert seen is not None
    first = Procfs().look(1)
    assert first is not None
    assert 0 < started_at(first.process) <= started_at(seen.process)
    assert started_at(None) == 0.0
    assert started_at(Process(1, 0)) > 0
