"""Verdicts on looks: what proves a generation, what is wrong with it, what is not yet known."""

from dataclasses import replace

import pytest

from headgate.engines.nginx.apply.evidence import Expectation, LogLine, LogSeen, Observation
from headgate.engines.nginx.apply.verdict import (
    FAULTS_S,
    Failed,
    Passed,
    Verdict,
    Waiting,
    Watch,
)
from headgate.engines.nginx.common.types import Process

OLD = frozenset({Process(1, 1), Process(2, 1)})
NEW = frozenset({Process(11, 2), Process(12, 2)})
ONE = frozenset({Process(11, 2)})
STATUS = "the status socket answers"
EXPECTED = Expectation(generation=7, workers=2)
GOOD = Observation(
    has_master=True,
    new=NEW,
    before=frozenset({1, 2}),
    answers=(7,) * 4,
    faults=(),
)
BEFORE = replace(GOOD, new=frozenset(), old=OLD, answers=(6,) * 4)
EMERG = LogLine("emerg", "[emerg] 9#9: no")
RETRY = LogLine("bind_retry", "[emerg] 9#9: bind() failed (98: taken)")
FATAL = LogLine("fatal_exit", "[alert] 9#9: worker process 11 exited with fatal code 2", 11)


def judge(*looks: tuple[float, Observation], expected: Expectation = EXPECTED) -> Verdict:
    watch = Watch(expected, 0.0, 8.0)
    verdict: Verdict = Waiting()
    for at, seen in looks:
        verdict = watch.judge(seen, at)
    return verdict


def logged(seen: Observation, *lines: LogLine) -> Observation:
    return replace(seen, log=LogSeen(lines))


def test_all_of_it_for_half_a_second_proves_a_generation() -> None:
    assert isinstance(judge((0.1, GOOD)), Waiting)
    assert isinstance(judge((0.1, GOOD), (0.59, GOOD)), Waiting)
    assert judge((0.1, GOOD), (0.6, GOOD)) == Passed()


@pytest.mark.parametrize(
    ("seen", "missing"),
    [
        (replace(GOOD, has_master=False), "there is no master process"),
        (replace(GOOD, new=ONE), "1 of 2 new workers run"),
        (replace(GOOD, old=OLD), "2 old workers still accept"),
        (replace(GOOD, answers=(7, 7, 6)), f"{STATUS} generation 6, not generation 7"),
        (replace(GOOD, answers=(7, None)), f"{STATUS} nothing, not generation 7"),
        (replace(GOOD, answers=()), f"{STATUS} nothing, not generation 7"),
        (replace(GOOD, faults=None), ""),
        (replace(GOOD, faults=("no listener",)), "no listener"),
        (BEFORE, "0 of 2 new workers run"),
    ],
)
def test_what_is_missing_is_waited_for_and_then_fails(seen: Observation, missing: str) -> None:
    early = judge((0.1, seen), (0.7, seen))
    assert isinstance(early, Waiting)
    assert early.missing == missing
    assert early.deep == (seen.faults != ())
    late = judge((0.1, seen), (8.0, seen))
    assert isinstance(late, Failed)
    assert late.outcome in {"PARTIAL", "BROKEN"}


def test_the_deadline_names_what_was_waited_for_or_what_was_faulty() -> None:
    masterless = replace(GOOD, has_master=False)
    early, late = judge((0.1, masterless)), judge((0.1, masterless), (8.0, masterless))
    assert early == Waiting(deep=False, missing="there is no master process")
    assert isinstance(late, Failed)
    assert late.text == "not verified in time: there is no master process"
    faulty = replace(GOOD, faults=("no answer",))
    early, late = judge((0.1, faulty), (0.7, faulty)), judge((7.9, faulty), (8.5, faulty))
    assert early == Waiting(deep=True, missing="no answer")
    assert isinstance(late, Failed)
    assert late.text == "not verified in time: no answer"


def test_listeners_and_names_are_tried_once_the_rest_holds() -> None:
    seen = replace(GOOD, faults=None)
    first, second = judge((0.1, seen)), judge((0.1, seen), (0.7, seen))
    assert isinstance(first, Waiting) and not first.deep
    assert isinstance(second, Waiting) and second.deep


def test_a_worker_that_was_replaced_begins_its_time_anew() -> None:
    other = replace(GOOD, new=frozenset({Process(11, 2), Process(13, 3)}))
    assert isinstance(judge((0.1, GOOD), (0.5, other), (0.7, other)), Waiting)
    assert judge((0.1, GOOD), (0.5, other), (1.0, other)) == Passed()


def test_a_look_that_misses_a_worker_begins_the_time_of_all_anew() -> None:
    fewer = replace(GOOD, new=ONE)
    assert isinstance(judge((0.1, GOOD), (0.5, fewer), (0.7, GOOD)), Waiting)
    assert judge((0.1, GOOD), (0.5, fewer), (0.7, GOOD), (1.2, GOOD)) == Passed()


def test_faults_that_stay_fail_before_the_deadline() -> None:
    faulty = replace(GOOD, faults=("no",))
    assert isinstance(judge((0.1, faulty), (0.1 + FAULTS_S - 0.1, faulty)), Waiting)
    assert judge((0.1, faulty), (0.1 + FAULTS_S, faulty)) == Failed("PARTIAL", "no")
    assert judge((0.1, faulty), (1.0, GOOD)) == Passed()


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (logged(BEFORE, EMERG), "REJECTED"),
        (logged(GOOD, EMERG), "PARTIAL"),
        (logged(replace(GOOD, new=frozenset()), EMERG), "BROKEN"),
        (logged(replace(GOOD, new=frozenset()), FATAL), "BROKEN"),
        (logged(replace(BEFORE, old=OLD), FATAL), "BROKEN"),
        (logged(GOOD, FATAL), "PARTIAL"),
        (logged(BEFORE, RETRY, EMERG), "REJECTED"),
    ],
)
def test_nginx_own_words_end_it_at_once(seen: Observation, outcome: str) -> None:
    verdict = judge((0.1, seen))
    assert isinstance(verdict, Failed)
    assert verdict.outcome == outcome
    assert verdict.lines


def test_dead_workers_are_never_taken_for_a_refusal() -> None:
    """Old workers accept for 100 ms more: relinking alone would leave the outage."""
    verdict = judge((0.1, logged(BEFORE, FATAL)))
    assert isinstance(verdict, Failed) and verdict.outcome != "REJECTED"


def test_a_retried_bind_is_no_verdict_yet() -> None:
    assert isinstance(judge((0.1, logged(BEFORE, RETRY))), Waiting)
    verdict = judge((0.1, logged(GOOD, RETRY)), (1.0, logged(GOOD, RETRY)))
    assert verdict == Passed((RETRY.text,))


def test_a_crash_counts_for_new_workers_only() -> None:
    old = LogLine("killed", "worker process 1 exited on signal 11", 1)
    new = LogLine("killed", "worker process 11 exited on signal 11", 11)
    assert judge((0.1, logged(GOOD, old)), (0.7, logged(GOOD, old))) == Passed()
    assert isinstance(judge((0.1, logged(GOOD, new))), Failed)


def test_an_unknown_log_is_not_taken_for_a_good_one() -> None:
    seen = replace(GOOD, log=LogSeen((), is_known=False, why_unknown="it was cut"))
    assert isinstance(judge((0.1, seen), (3.0, seen)), Waiting)
    verdict = judge((0.1, seen), (3.2, seen))
    assert isinstance(verdict, Passed)
    assert "it was cut" in verdict.caveats[0]


def test_after_a_refusal_the_old_workers_are_the_proof() -> None:
    expected = replace(EXPECTED, generation=6, needs_new_workers=False)
    seen = replace(BEFORE, faults=())
    assert judge((0.1, seen), expected=expected) == Passed()
    assert judge((0.1, logged(seen, EMERG)), expected=expected) == Passed(), "that was before"
    assert isinstance(judge((0.1, replace(seen, answers=(7,))), expected=expected), Waiting)


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (GOOD, None),
        (replace(GOOD, answers=(None, 7)), None),
        (replace(GOOD, has_master=False), "BROKEN"),
        (replace(GOOD, new=frozenset()), "BROKEN"),
        (replace(GOOD, answers=(7, 6)), "PARTIAL"),
        (logged(GOOD, FATAL), "PARTIAL"),
    ],
)
def test_soaking_looks_for_what_became_wrong(seen: Observation, outcome: str | None) -> None:
    failed = Watch(EXPECTED, 0.0, 8.0).still_good(seen)
    assert (failed.outcome if failed else None) == outcome
