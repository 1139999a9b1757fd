"""What a running process tells follows what it does, so no test looks for it only once."""

import re
from pathlib import Path

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
