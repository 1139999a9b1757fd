"""What a running process tells follows what it does, so no test looks for it only once."""

import re
from pathlib import Path

import pytest
from waiting import Deadline, stretch

TESTS = Path(__file__).parents[1]

_ONCE = re.compile(
    r"(?m)^ *(assert\b(?!.* not in ).*(\.log\.read_text\(|command\(\"events\"\)).*"
    r"|\w+ = .*(\.log\.read_text\(|command\(\"events\"\)\.stdout))$"
)
_ENDED = re.compile(r"process\.(wait|poll)\(")


def looks_once(text: str) -> list[str]:
    """The lines of a test file that look into a log or the events once, while the process runs."""
    functions = re.split(r"(?m)^(?=def )", text)
    return [
        found[0].strip()
        for function in functions
        for found in _ONCE.finditer(function)
        if not _ENDED.search(function[: found.start()])
    ]


def test_no_test_looks_once_for_what_is_told_later() -> None:
    found = {
        path.relative_to(TESTS): lines
        for path in sorted(TESTS.glob("e2e/**/test_*.py"))
        if (lines := looks_once(path.read_text()))
    }
    assert found == {}


def test_the_rule_sees_both_forms() -> None:
    once = '    assert "a" in node.log.read_text()\n    said = node.command("events").stdout\n'
    assert len(looks_once("def test() -> None:\n" + once)) == 2
    assert looks_once("def test() -> None:\n    node.process.wait()\n" + once) == []


@pytest.mark.parametrize(
    ("load", "times"), [(0.0, 1.0), (2.5, 1.0), (3.0, 1.0), (4.5, 1.5), (6.0, 2.0), (40.0, 2.0)]
)
def test_deadlines_stretch_on_a_machine_that_others_use(load: float, times: float) -> None:
    assert stretch(load) == pytest.approx(times)


def test_a_deadline_passes() -> None:
    assert Deadline(0).has_passed()
    assert not Deadline(3600).has_passed()
