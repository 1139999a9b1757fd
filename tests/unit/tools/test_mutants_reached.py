"""Which tests of a crate a fault is tried with."""

from pathlib import Path

import pytest
from mutants.reached import Reach, fate, reaches
from mutants.together import RECORD, SWITCH
from mutants.verdict import Fate, NoVerdictError

PROGRAM = f"""\
#!/bin/sh
[ "$1" = --list ] && {{ echo 'a::b: test'; echo 'a::c: test'; echo; echo '2 tests'; exit; }}
reached() {{ [ -z "${RECORD}" ] || echo "$1" >> "${RECORD}"; [ "${SWITCH}" = "$1" ]; }}
"""


def program(folder: Path, lines: str) -> Path:
    """Returns a program that behaves as one of Rust's tests does."""
    path = folder / "tests"
    path.write_text(PROGRAM + lines)
    path.chmod(0o755)
    return path


def test_it_is_recorded_which_faults_each_test_reaches(tmp_path: Path) -> None:
    lines = 'reached 3\n[ "$1" = a::c ] && reached 8\nexit 0\n'
    made = program(tmp_path, lines)
    found = reaches([made], tmp_path, {}, jobs=2)
    assert [(one.program, one.test, set(one.faults)) for one in found] == [
        (made, "a::b", {3}),
        (made, "a::c", {3, 8}),
    ]
    assert all(one.took_s > 0 for one in found)


def test_tests_that_fail_without_a_fault_give_no_verdict(tmp_path: Path) -> None:
    made = program(tmp_path, '[ "$1" = a::b ]\n')
    with pytest.raises(NoVerdictError, match=r"^a::c of tests fails without a fault"):
        reaches([made], tmp_path, {}, jobs=1)


def test_a_fault_is_tried_with_the_tests_that_reach_it_the_quickest_first(tmp_path: Path) -> None:
    said = tmp_path / "said"
    made = program(tmp_path, f'echo "$@" >> {said}\nexit 0\n')
    reached = [
        Reach(made, f"t{number}", 100 - number, frozenset({7} if number else {8}))
        for number in range(42)
    ]
    assert fate(reached, 7, tmp_path, {}) is Fate.SURVIVED
    first = [f"t{number}" for number in range(41, 1, -1)]
    assert said.read_text().splitlines() == [" ".join(["--exact", *first]), "--exact t1"]
    assert fate(reached, 9, tmp_path, {}) is Fate.SURVIVED, "no test reaches it"


@pytest.mark.parametrize(
    ("whole", "alone", "expected"),
    [
        ("echo 'test a::b ... ok'", "exit 1", Fate.SURVIVED),
        ("echo 'test a::b ... FAILED'; exec tail -f /dev/null", "exit 1", Fate.KILLED),
        ("echo 'test a::b ... FAILED'; exit 1", "exit 0", Fate.SURVIVED),
        ("kill -SEGV $$", "exit 0", Fate.KILLED),
    ],
)
def test_a_failure_counts_if_the_test_fails_alone_as_well(
    tmp_path: Path, whole: str, alone: str, expected: Fate
) -> None:
    lines = f'reached 7 || exit 3\n[ "$*" != "a::b --exact" ] || {alone}\n{whole}\n'
    made = program(tmp_path, lines)
    reached = [Reach(made, "a::b", 1.0, frozenset({7}))]
    assert fate(reached, 7, tmp_path, {}) is expected
