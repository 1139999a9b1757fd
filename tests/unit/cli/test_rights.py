"""A node that is not started by root: whether it says that it cannot become the configured user."""

import os
import pwd
from pathlib import Path

import pytest

from headgate.cli import rights
from headgate.node import capabilities


@pytest.mark.parametrize(
    ("user", "warns"), [(None, False), ("its own", False), ("somebody-else", True)]
)
def test_only_another_user_is_warned_of(
    user: str | None,
    warns: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    me = pwd.getpwnam("nobody")
    monkeypatch.setattr(os, "geteuid", lambda: me.pw_uid)
    # They would hold for all tests of this process.
    monkeypatch.setattr(capabilities, "no_new_rights", lambda: None)
    monkeypatch.setattr(capabilities, "keep", lambda *_: None)
    rights.give_up(me.pw_name if user == "its own" else user, rights.Places(tmp_path))
    said = capfd.readouterr().err
    assert ('node.user = "somebody-else" is not used' in said) is warns
    assert bool(said) is warns
