"""What counts as a version: a command gets it as its argument."""

import pytest

from headgate.fleet.programs import is_program


@pytest.mark.parametrize(
    "text", ["0.1", "1.4.2", "1.5.0rc1", "2.0.0.dev3", "1.0.post1", "1.4.2+site.3"]
)
def test_a_version_is_one(text: str) -> None:
    assert is_program(text)


@pytest.mark.parametrize(
    "text",
    ["", "1", "-1.0", "--help", "1.0;id", "1.0 2.0", "1.0\n", "../1.0", "$(id)", "v1.0", "1." * 40],
)
def test_what_a_command_could_take_for_something_else_is_none(text: str) -> None:
    assert not is_program(text)
