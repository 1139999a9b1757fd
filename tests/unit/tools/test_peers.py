"""What a test gets that needs another program."""

import pytest
from peers import peer


def test_a_program_that_is_there_is_found() -> None:
    assert peer("sh").name == "sh"


@pytest.mark.parametrize(
    ("ci", "outcome"),
    [("", pytest.skip.Exception), ("true", pytest.fail.Exception)],  # noqa: TID251
)
def test_a_missing_one_skips_by_name_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=r"no-such-program is missing: sudo make system-deps"):
        peer("no-such-program")
