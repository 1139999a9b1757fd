"""Files that are there as a whole or not at all."""

import os
from pathlib import Path

import pytest

from headgate.kernel.files import private_files, replace_file


def test_a_file_gets_its_content_and_mode_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    replace_file(path, b"old", 0o644)
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    replace_file(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_name_is_made_durable_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").is_dir())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    replace_file(tmp_path / "key", b"new")
    assert synced == [False, True]


def test_files_are_private_only_within(tmp_path: Path) -> None:
    def made(name: str) -> int:
        (tmp_path / name).touch()
        return (tmp_path / name).stat().st_mode & 0o777

    mode = made("before")
    with pytest.raises(OSError, match="full"), private_files():
        assert made("within") == 0o600
        raise OSError("full")
    assert made("after") == mode != 0o600
