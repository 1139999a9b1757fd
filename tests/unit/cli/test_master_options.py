"""Where a master keeps its data."""

from pathlib import Path

import pytest

from headgate.cli.master_options import directory


def test_the_directory_is_the_given_one_or_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("XDG_STATE_HOME", "/srv/state")
    assert directory(Path("here")) == tmp_path / "here"
    assert directory(None) == Path("/var/lib/headgate-master")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert directory(None) == Path("/srv/state/headgate-master")
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", "/home/ann")
    assert directory(None) == Path("/home/ann/.local/state/headgate-master")
