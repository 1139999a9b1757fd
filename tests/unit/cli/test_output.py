"""Where the output of commands goes, and in which format."""

import pytest

from headgate.cli.output import (
    BAD_CONFIG,
    FAILED,
    Format,
    complain,
    printable,
    printable_text,
    show,
)


def test_a_value_is_shown_as_json_or_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    show({"a": 1}, Format.JSON, str)
    show({"a": 1}, Format.TEXT, lambda one: f"a is {one['a']}\n")
    assert capsys.readouterr().out == '{"a":1}\na is 1\n'


def test_a_complaint_is_an_error_and_a_failure_unless_it_says_otherwise(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert complain("no").exit_code == FAILED
    assert complain("bad", BAD_CONFIG).exit_code == BAD_CONFIG
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "headgate: no\nheadgate: bad\n")


def test_of_control_characters_only_the_ends_of_lines_and_tabs_reach_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert printable("a\tb\x1b[31mé\x9b\n") == "a\tb?[31mé??"
    assert printable_text("a\n\x1b[31m\r\n") == "a\n?[31m?\n"
    complain("it says \x1b[31m\n  and more")
    assert capsys.readouterr().err == "headgate: it says ?[31m\n  and more\n"


def test_json_has_escapes_for_what_a_terminal_would_obey(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show({"a": "\x1b\x7f\x9bé"}, Format.JSON, str)
    assert capsys.readouterr().out == '{"a":"\\u001b\\u007f\\u009bé"}\n'
