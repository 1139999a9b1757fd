"""Holds: until when and why, on disk, expiring by themselves."""

from pathlib import Path

import pytest

from headgate.engines.nginx.apply import hold
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


def test_a_hold_makes_its_folder_and_its_end_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "default" / "nginx"
    made = set_hold(folder, 60, "before the node ever ran")
    assert (read_hold(folder), made.until - made.since) == (made, 60.0)
    assert (folder / HOLD).stat().st_mode & 0o777 == 0o644, "commands of others read it"
    synced: list[Path] = []
    monkeypatch.setattr(hold, "sync_folder", synced.append)
    assert release_hold(folder)
    assert synced == [folder]


@pytest.mark.parametrize(
    ("left_s", "by", "said"),
    [
        (600.0, "ann", "held for 10 min by ann: night fix"),
        (60.0, "", "held for 1 min: night fix"),
        (59.0, "", "held for 59 s: night fix"),
        (-5.0, "", "held for 0 s: night fix"),
    ],
)
def test_a_hold_says_for_how_long_why_and_who(left_s: float, by: str, said: str) -> None:
    assert Hold(until=1000.0 + left_s, reason="night fix", since=0.0, by=by).text(1000.0) == said
