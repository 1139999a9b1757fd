"""The exit codes of the whole command line."""

import gc
import sys
from collections.abc import Callable

import pytest

from headgate.cli import main as entry
from headgate.cli.told import ToldError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ToldError("no node runs"), "headgate: no node runs\n"),
        (ToldError("refused \x1b[2J\n  because"), "headgate: refused ?[2J\n  because\n"),
        (BrokenPipeError(), ""),
    ],
)
def test_an_error_that_is_told_and_a_reader_that_went_away_are_failures(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    said: str,
) -> None:
    given: list[list[str]] = []

    def program(arguments: list[str]) -> Callable[[], None]:
        def fail() -> None:
            raise error

        given.append(arguments)
        return fail

    monkeypatch.setattr(entry, "program", program)
    monkeypatch.setattr(sys, "argv", ["headgate", "status", "-o", "json"])
    gc.set_threshold(700)
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert gc.get_threshold()[0] == 10_000, "the collector looks less often"
    assert (end.value.code, capsys.readouterr().err) == (1, said)
    assert given == [["status", "-o", "json"]]


def test_an_argument_that_is_not_utf8_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["headgate", "check", "/etc/a\udcff.toml"])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 1
    said = 'headgate: the argument "/etc/a\\xff.toml" is not UTF-8; rename what it names\n'
    assert capsys.readouterr().err == said
