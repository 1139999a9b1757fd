"""What a journal asks for after a crash at any step."""

import pytest

from headgate.engines.nginx.apply.journal import STEPS, Record, Step
from headgate.engines.nginx.apply.replay import (
    BEFORE_SWAP,
    UNDOING,
    UNPROVEN,
    Abandoned,
    Committing,
    Decision,
    Settled,
    Undoing,
    Unproven,
    replay,
    safe_release,
)
from headgate.engines.nginx.releases.names import ReleaseName

OLD = ReleaseName(6, "6" * 12)
NEW = ReleaseName(7, "7" * 12)
ELSE = ReleaseName(8, "8" * 12)


def records(*steps: Step, fallbacks: tuple[ReleaseName, ...] = (OLD,)) -> list[Record]:
    made = []
    for step in steps:
        release = None if step in {"fetch", "stage"} else NEW
        target = OLD if step in UNDOING else None
        mark = "1:2" if step == "signal" else ""
        made.append(Record(7, step, release, fallbacks, target, detail=mark))
    return made


def test_every_step_belongs_to_one_kind() -> None:
    assert {*BEFORE_SWAP, *UNPROVEN, *UNDOING, "commit", "done"} == set(STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_has_its_decision(step: Step) -> None:
    decision = replay(records("fetch", "swap", "signal", step))
    expected: dict[str, type[Decision]] = (
        dict.fromkeys(BEFORE_SWAP, Abandoned)
        | dict.fromkeys(UNPROVEN, Unproven)
        | dict.fromkeys(UNDOING, Undoing)
        | {"commit": Committing, "done": Settled}
    )
    assert isinstance(decision, expected[step])


def test_an_empty_journal_asks_for_nothing() -> None:
    assert replay([]) == Settled()


def test_the_mark_of_the_log_is_that_of_this_apply() -> None:
    earlier = [Record(6, "signal", OLD, detail="9:9"), Record(6, "done")]
    assert replay([*earlier, *records("swap")]) == Unproven(7, NEW, (OLD,))
    assert replay([*earlier, *records("swap", "signal")]) == Unproven(7, NEW, (OLD,), "1:2")
    assert replay([*earlier, *records("swap", "signal", "soak")]) == Unproven(7, NEW, (OLD,), "1:2")


def test_nginx_starts_with_what_was_verified_last() -> None:
    assert safe_release(replay([]), ELSE) == ELSE
    assert safe_release(replay(records("fetch", "stage", "test")), ELSE) == ELSE
    assert safe_release(replay(records("fetch", "swap")), NEW) == OLD
    assert safe_release(replay(records("fetch", "swap", "soak")), NEW) == OLD
    assert safe_release(replay(records("fetch", "swap", "commit")), NEW) == NEW
    assert safe_release(replay(records("fetch", "swap", "rollback")), NEW) == OLD
    assert safe_release(replay(records("fetch", "swap", "commit", "done")), NEW) == NEW


def test_where_nothing_was_ever_verified_the_tested_release_is_better_than_none() -> None:
    assert safe_release(replay(records("fetch", "swap", fallbacks=())), NEW) == NEW
    assert safe_release(replay([]), None) is None
