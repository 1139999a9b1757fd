"""The lock of one nginx: who holds it is told, and it ends with its holder."""

import os
from pathlib import Path

import pytest

from headgate.engines.nginx.releases.lock import LOCK, BusyError, is_locked, locked


def test_a_second_apply_is_refused_and_told_who_is_at_it(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(BusyError, match=f"process {os.getpid()} applies to {tmp_path} just now"),
        locked(tmp_path),
    ):
        pass
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_the_last_holder_leaves_nothing_of_the_one_before(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("1234567890123\n")
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"


def test_a_lock_that_nobody_wrote_into_has_an_unknown_holder(tmp_path: Path) -> None:
    with locked(tmp_path):
        os.truncate(tmp_path / LOCK, 0)
        with pytest.raises(BusyError, match="process unknown"), locked(tmp_path):
            pass


def test_the_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    root = tmp_path / "state" / "nginx"
    with locked(root):
        assert is_locked(root)


def test_nothing_is_locked_where_nothing_is(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "none")
