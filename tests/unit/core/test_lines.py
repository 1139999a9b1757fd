"""Expressions for whole lines."""

import pytest

from headgate._core import LinePattern


def test_the_named_groups_of_a_line_that_fits() -> None:
    pattern = LinePattern(r"(?P<b>[a-z]*) (x)(?P<a>[0-9]+)?(?:y.)?")
    assert pattern.names == ["b", "a"]
    assert pattern.fields("abc x12") == ["abc", "12"]
    assert pattern.fields(" xy\n") == ["", ""]
    assert pattern.fields("\u00e9 x") is None


@pytest.mark.parametrize("line", ["abc x12 ", " abc x12", "abc x12\n", ""])
def test_the_whole_line_must_fit(line: str) -> None:
    assert LinePattern(r"abc x12|[a-z]+").fields(line) is None


def test_the_first_way_to_fit_counts() -> None:
    assert LinePattern(r"(?P<a>.*?) (?P<b>.*?) (?P<c>.*)").fields("1 2 3 4") == ["1", "2", "3 4"]


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("(", "error parsing"),
        ("(?P<a>x)(?P<a>y)", "error parsing"),
        ("a{999}{999}{9}", "too large"),
    ],
)
def test_an_expression_that_cannot_be_is_refused(expression: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        LinePattern(expression)
