"""What a running process tells follows what it does, so no test looks for it only once."""

import re
from pathlib import Path

import pytest
from waiting import Deadline, stretch

TESTS = Path(__file__).parents[1]
TEXT_WITH_LOG = 'CONFIG = "[node]\\naccess_log = {}"\n'

_ONCE = re.compile(
    r"(?m)^ *(assert\b(?!.* not in ).*(\.log\.read_text\(|command\(\"events\"\)).*"
    r"|\w+ = .*(\.log\.read_text\(|command\(\"events\"\)\.stdout))$"
)
#: The names that access logs have in tests; the log of a process is `node.log`.
_ACCESS_LOG = (
    r"(?:self\.log|(?<![.\w])(?<!, )(?:log|written)|\"[\w./]*(?:access|asked|flows)\.\w+\"\)?)"
)
_BY_ITSELF = re.compile(
    rf"(?m)^.*{_ACCESS_LOG}\.(?:read_(?:text|bytes)|open)\(.*$"
    r"|^.*\.read_(?:text|bytes)\(\).*glob\(\"access\.log.*$"
    r"|^.*json\.loads.*\.read_(?:text|bytes)\(\)\.\w*(?:split|partition).*$"
)
#: Counters, gauges and `headgate status`; what was opened is counted before it is answered.
_COUNTED_ONCE = re.compile(
    r"(?m)^ *assert\b(?!.*_opened_total).*\.metric\(.*(?:==|>=|>) .*"
    r"|^ *assert\b(?!.* not in ).*(?:command\(\"status\"\)\.stdout|admin\(\"GET\", \"/metrics\").*"
    r"|^ *page = .*\"/metrics\".*(?=\n(?:.*\n){0,3}? *assert .* in page)"
)
#: Limits of seconds that a test made up; below a second it looks again and again.
_IMPATIENT = re.compile(
    r"(?m)^.*(?:(?<![\w+\"])timeout=|settimeout\(|\.wait\((?:timeout=)?|\.join\(|(?<!stop\()deadline_s=)"
    r"(?:[1-9]|[1-3]\d|4[0-4])(?:\.\d+)?[,)].*$"
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


def counts_once(text: str) -> list[str]:
    """The lines of a test file that look once at a number or a state that is told afterwards."""
    return [found[0].strip() for found in _COUNTED_ONCE.finditer(text)]


def impatient(text: str) -> list[str]:
    """The lines of a test file that wait for fewer seconds than DEADLINE_S."""
    return [found[0].strip() for found in _IMPATIENT.finditer(text)]


def reads_by_itself(text: str) -> list[str]:
    """The lines of a test file that read an access log without the room that waits for lines."""
    if "access_log" not in text:
        return []
    return [found[0].strip() for found in _BY_ITSELF.finditer(text)]


def test_access_logs_are_read_in_one_room() -> None:
    found = {
        path.relative_to(TESTS): lines
        for path in sorted(TESTS.glob("e2e/**/*.py"))
        if (lines := reads_by_itself(path.read_text()))
    }
    assert found == {}, "tests/support/access_log.py waits for whole lines"


@pytest.mark.parametrize(
    "line",
    [
        "text = log.read_text() if log.exists() else ''",
        "text = self.log.read_text() if self.log.exists() else ''",
        'lines = (folder / "access.log").read_text()',
        'until(lambda: b"a" in (logs / "s/nginx/logs/asked.log").read_bytes(), "a line")',
        "(line,) = map(json.loads, written.read_text().splitlines())",
        "with written.open() as lines:",
        "found = [json.loads(line) for line in there.read_bytes().split()]",
        'logs = [one.read_text() for one in folder.rglob("access.log")]',
    ],
)
def test_the_rule_sees_who_reads_an_access_log_by_itself(line: str) -> None:
    text = f"{TEXT_WITH_LOG}def test() -> None:\n    {line}\n"
    assert reads_by_itself(text) == [line]
    assert reads_by_itself(text.replace("access_log", "log")) == []


@pytest.mark.parametrize(
    "line",
    [
        'lines = AccessLog(folder / "access.log").lines(2)',
        "said = node.log.read_text()",
        "site = alive.conf.read_text().splitlines()",
    ],
)
def test_the_rule_leaves_other_files_alone(line: str) -> None:
    assert reads_by_itself(f"{TEXT_WITH_LOG}def test() -> None:\n    {line}\n") == []


def test_no_test_looks_once_for_what_is_told_later() -> None:
    found = {
        path.relative_to(TESTS): lines
        for path in sorted(TESTS.glob("e2e/**/test_*.py"))
        if (lines := looks_once(path.read_text()))
    }
    assert found == {}


def test_no_test_looks_once_at_what_is_counted_after_the_answer() -> None:
    found = {
        path.relative_to(TESTS): lines
        for path in sorted(TESTS.glob("e2e/**/test_*.py"))
        if (lines := counts_once(path.read_text()))
    }
    assert found == {}, "tests/support/told.py waits for it"


@pytest.mark.parametrize(
    "line",
    [
        'assert node.metric("a_total") == 1',
        'assert node.metric("a_total") > 0, "some"',
        'assert [one.metric("a") for one in both] == [1, 1]',
        'assert "down" in node.command("status").stdout',
        'assert "a 1" in node.admin("GET", "/metrics")[1].decode()',
        'page = node.admin("GET", "/metrics")[1].decode()\n    assert "a 1" in page',
    ],
)
def test_the_rule_sees_who_looks_at_a_number_once(line: str) -> None:
    assert counts_once(f"def test() -> None:\n    {line}\n") == [line.partition("\n")[0]]


@pytest.mark.parametrize(
    "line",
    [
        'until(lambda: node.metric("a_total") == 1, "the count")',
        'assert node.metric("a_connections") <= 4',
        'assert "warning" not in node.command("status").stdout',
        'page = node.admin("GET", "/metrics")[1].decode()\n    return "a 1" in page',
    ],
)
def test_the_rule_leaves_waiting_and_upper_bounds_alone(line: str) -> None:
    assert counts_once(f"def test() -> None:\n    {line}\n") == []


def test_every_test_has_the_patience_of_all() -> None:
    here = Path(__file__)
    files = [path for path in sorted(TESTS.rglob("*.py")) if "drills" not in path.parts]
    found = {
        path.relative_to(TESTS): lines
        for path in files
        if path != here and (lines := impatient(path.read_text()))
    }
    assert found == {}, "DEADLINE_S of tests/support/waiting.py"


@pytest.mark.parametrize(
    "line",
    [
        "client = HTTPConnection(host, timeout=30)",
        "link.settimeout(5)",
        "process.wait(20)",
        "process.wait(timeout=2.5)",
        "thread.join(10)",
        'until(is_up, "it", deadline_s=20)',
    ],
)
def test_the_rule_sees_impatience(line: str) -> None:
    assert impatient(f"def test() -> None:\n    {line}\n") == [line]


@pytest.mark.parametrize(
    "line",
    [
        "client = HTTPConnection(host, timeout=DEADLINE_S)",
        "link.settimeout(0.3)",
        "process.wait(60)",
        "subprocess.run(command, timeout=400)",
        'text = "max_fails=1 fail_timeout=10s"',
        'dig(port, "www.test", "+timeout=1")',
    ],
)
def test_the_rule_leaves_patience_and_polls_alone(line: str) -> None:
    assert impatient(f"def test() -> None:\n    {line}\n") == []


def test_the_rule_sees_both_forms() -> None:
    once = '    assert "a" in node.log.read_text()\n    said = node.command("events").stdout\n'
    assert len(looks_once("def test() -> None:\n" + once)) == 2
    assert looks_once("def test() -> None:\n    node.process.wait()\n" + once) == []


@pytest.mark.parametrize(
    ("load", "times"), [(0.0, 1.0), (2.5, 1.0), (3.0, 1.0), (4.5, 1.5), (12.0, 4.0), (40.0, 4.0)]
)
def test_deadlines_stretch_on_a_machine_that_others_use(load: float, times: float) -> None:
    assert stretch(load) == pytest.approx(times)


def test_a_deadline_passes() -> None:
    assert Deadline(0).has_passed()
    assert not Deadline(3600).has_passed()
