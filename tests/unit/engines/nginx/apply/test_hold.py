"""Holds: until when and why, on disk, expiring by themselves."""

from pathlib import Path

import pytest

from headgate.engines.nginx.apply.hold import (
    HOLD,
    BadHoldError,
    Hold,
    read_hold,
    release_hold,
    set_hold,
)


def test_a_hold_is_there_until_it_expires_or_is_released(tmp_path: Path) -> None:
    assert read_hold(tmp_path) is None
    made = set_hold(tmp_path, 60, "night fix", "ann")
    assert read_hold(tmp_path) == made
    assert read_hold(tmp_path, made.until - 0.1) == made
    assert read_hold(tmp_path, made.until) is None
    assert release_hold(tmp_path)
    assert not release_hold(tmp_path)
    assert read_hold(tmp_path) is None


def test_a_later_hold_replaces_an_earlier(tmp_path: Path) -> None:
    set_hold(tmp_path, 60, "one")
    set_hold(tmp_path, 5, "two")
    found = read_hold(tmp_path)
    assert found is not None and found.reason == "two"
    assert [path.name for path in tmp_path.iterdir()] == [HOLD]


def test_what_cannot_be_read_is_no_permission(tmp_path: Path) -> None:
    (tmp_path / HOLD).write_text("{")
    with pytest.raises(BadHoldError, match="release the hold"):
        read_hold(tmp_path)


@pytest.mark.parametrize(
    ("left_s", "by", "said"),
    [
        (600.0, "ann", "held for 10 min by ann: night fix"),
        (59.0, "", "held for 59 s: night fix"),
        (-5.0, "", "held for 0 s: night fix"),
    ],
)
def test_a_hold_says_for_how_long_why_and_who(left_s: float, by: str, said: str) -> None:
    assert Hold(until=1000.0 + left_s, reason="night fix", since=0.0, by=by).text(1000.0) == said
