"""What the process of `headgate run` gives up before it serves, and what it says of that."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

import pytest

from headgate.cli import rights
from headgate.node import capabilities

OTHER = pwd.struct_passwd(("other", "x", 4_001, 4_002, "", "/", "/bin/false"))
ROOT = pwd.struct_passwd(("root", "x", 0, 0, "", "/", "/bin/sh"))


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
    done: list[str] = []
    monkeypatch.setattr(capabilities, "no_new_rights", lambda: done.append("no new rights"))
    monkeypatch.setattr(capabilities, "keep", lambda: done.append("keep"))
    rights.give_up(me.pw_name if user == "its own" else user, rights.Places(tmp_path))
    said = capfd.readouterr().err
    assert done == ["no new rights", "keep"]
    assert ('node.user = "somebody-else" is not used' in said) is warns
    assert bool(said) is warns


@dataclass
class Root:
    """A process that root started: the users that there are, what it prepared and kept."""

    users: dict[str, pwd.struct_passwd]
    prepared: list[str]
    kept: list[str | None]
    unusable: OSError | None = None
    unkept: OSError | None = None


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Root:
    one = Root({"headgate": OTHER, "other": OTHER, "admin": ROOT}, [], [])

    def prepare(entry: pwd.struct_passwd, _places: rights.Places) -> None:
        one.prepared.append(entry.pw_name)
        if one.unusable is not None and entry is not ROOT:
            raise one.unusable

    def keep(entry: pwd.struct_passwd | None) -> None:
        one.kept.append(entry and entry.pw_name)
        if one.unkept is not None:
            raise one.unkept

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", one.users.__getitem__)
    monkeypatch.setattr(pwd, "getpwuid", {0: ROOT}.__getitem__)
    monkeypatch.setattr(rights, "_prepare", prepare)
    monkeypatch.setattr(capabilities, "no_new_rights", lambda: None)
    monkeypatch.setattr(capabilities, "keep", keep)
    return one


PLACES = rights.Places(Path("/none"))


@pytest.mark.parametrize(
    ("user", "prepared", "kept"),
    [
        (None, "other", "other"),
        ("other", "other", "other"),
        ("root", "root", None),
        ("admin", "root", None),  # another name of root
    ],
)
def test_root_becomes_the_user_of_the_config_or_its_own(
    root: Root,
    user: str | None,
    prepared: str,
    kept: str | None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    rights.give_up(user, PLACES)
    assert (root.prepared, root.kept) == ([prepared], [kept])
    assert capfd.readouterr().err == ""


def test_root_stays_with_a_warning_where_its_own_user_is_unknown(
    root: Root, capfd: pytest.CaptureFixture[str]
) -> None:
    del root.users["headgate"]
    rights.give_up(None, PLACES)
    assert (root.prepared, root.kept) == (["root"], [None])
    assert 'there is no user "headgate"; create it' in capfd.readouterr().err
    with pytest.raises(rights.RightsError, match='there is no user "ann"; create it'):
        rights.give_up("ann", PLACES)


def test_a_user_that_cannot_serve_is_refused_only_if_the_config_names_it(
    root: Root, capfd: pytest.CaptureFixture[str]
) -> None:
    root.unusable = PermissionError(13, "Permission denied", "/none")
    rights.give_up(None, PLACES)
    assert (root.prepared, root.kept) == (["other", "root"], [None])
    said = capfd.readouterr().err
    assert 'runs as root: the user "other" cannot use /none: Permission denied; give it' in said
    with pytest.raises(rights.RightsError, match="cannot use /none: Permission denied; give it"):
        rights.give_up("other", PLACES)


def test_rights_that_cannot_be_given_up_are_warned_of(
    root: Root, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root.unkept = OSError(1, "not permitted")
    rights.give_up(None, PLACES)
    said = capfd.readouterr().err
    assert 'runs as root: root may not become "other": not permitted' in said
    assert "capabilities are kept: not permitted" in said
    with pytest.raises(rights.RightsError, match="may not become"):
        rights.give_up("other", PLACES)
    rights.give_up("root", PLACES)
    assert capfd.readouterr().err == "headgate: warning: capabilities are kept: not permitted\n"
    # It has become the user, and holds capabilities that it need not.
    became = iter([0, OTHER.pw_uid])
    monkeypatch.setattr(os, "geteuid", lambda: next(became))
    rights.give_up("other", PLACES)
    assert capfd.readouterr().err == "headgate: warning: capabilities are kept: not permitted\n"


def test_a_node_that_drives_nginx_keeps_its_user_and_some_capabilities(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done: list[object] = []
    monkeypatch.setattr(capabilities, "no_new_rights", lambda: done.append("no_new_rights"))
    monkeypatch.setattr(capabilities, "keep_only", done.append)
    rights.keep_for_nginx(["kill", "chown"], None)
    assert (done, capfd.readouterr().err) == (["no_new_rights", [0, 5]], "")

    def refuse(_: object) -> None:
        raise OSError(1, "not permitted")

    monkeypatch.setattr(capabilities, "keep_only", refuse)
    rights.keep_for_nginx(["kill"], "ann")
    assert capfd.readouterr().err == (
        "headgate: warning: node.user is not used where nginx serves; write node.nginx.user\n"
        "headgate: warning: capabilities are kept: not permitted\n"
    )
