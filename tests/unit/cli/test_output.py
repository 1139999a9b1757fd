"""Where the output of commands goes, and in which format."""

import pytest

from headgate.cli.output import BAD_CONFIG, FAILED, Format, complain, show


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
