"""What the process of `headgate run` gives up before it serves, and what it says of that."""

import os
import pwd
import stat
from contextlib import nullcontext
from dataclasses import dataclass
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


OTHER = pwd.struct_passwd(("other", "x", 4_001, 4_002, "", "/", "/bin/false"))
ME = pwd.struct_passwd(("me", "x", os.getuid(), os.getgid(), "", "/", "/bin/false"))
ROOT = pwd.struct_passwd(("root", "x", 0, 0, "", "/", "/bin/sh"))


@dataclass
class Given:
    """What was given to whom, in place of what only root may do."""

    files: list[tuple[str, int, int]]
    logs: list[tuple[int, int]]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    found = Given([], [])

    def chown(name: str, uid: int, gid: int, *, dir_fd: int, follow_symlinks: bool) -> None:
        assert not follow_symlinks
        assert os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        found.files.append((name, uid, gid))

    monkeypatch.setattr(os, "chown", chown)
    monkeypatch.setattr(os, "fchown", lambda _fd, uid, gid: found.logs.append((uid, gid)))
    monkeypatch.setattr(rights, "_acting_as", lambda _: nullcontext())
    return found


def test_the_state_directory_is_given_but_for_files_with_another_name(
    tmp_path: Path, given: Given
) -> None:
    state = tmp_path / "new" / "state"
    rights._prepare(OTHER, rights.Places(state))
    assert given.files == [(".", 4_001, 4_002)]
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    (state / "sub").mkdir()
    (state / "file").write_text("")
    (tmp_path / "trap").write_text("")
    (state / "link").hardlink_to(tmp_path / "trap")
    given.files.clear()
    rights._prepare(OTHER, rights.Places(state))
    assert [name for name, _, _ in given.files] == [".", "file", "."]
    given.files.clear()
    rights._prepare(ME, rights.Places(state))
    assert given.files == []


def test_a_file_that_cannot_be_given_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Given
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(PermissionError) as error:
        rights._prepare(OTHER, rights.Places(tmp_path))
    assert rights._named(error.value) == f"{tmp_path}/.: not permitted"
    assert rights._named(OSError(1, "not permitted")) == "the state directory: not permitted"
    assert given.files == []


def test_a_log_is_made_for_its_writer_and_keeps_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Given
) -> None:
    log = tmp_path / "access.log"
    can = iter([False, True])
    monkeypatch.setattr(rights, "_can_append", lambda *_: next(can))
    rights._prepare_log(OTHER, log)
    assert given.logs == [(4_001, -1)]
    assert stat.S_IMODE(log.stat().st_mode) & ~0o640 == 0
    log.write_text("a line\n")
    can = iter([False, True])
    rights._prepare_log(OTHER, log)
    assert log.read_text() == "a line\n"


def test_a_log_that_was_prepared_is_open_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Given
) -> None:
    monkeypatch.setattr(rights, "_can_append", lambda *_: False)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(PermissionError):
        rights._prepare_log(OTHER, tmp_path / "access.log")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert given.logs == [(4_001, -1)]


def test_a_log_that_its_writer_can_use_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Given
) -> None:
    monkeypatch.setattr(rights, "_can_append", lambda *_: True)
    rights._prepare(ME, rights.Places(tmp_path / "state", tmp_path / "access.log"))
    assert not (tmp_path / "access.log").exists()
    assert given.logs == []


def test_a_log_that_stays_out_of_reach_or_leads_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Given
) -> None:
    monkeypatch.setattr(rights, "_can_append", lambda *_: False)
    (tmp_path / "linked").hardlink_to(_file(tmp_path / "trap"))
    with pytest.raises(PermissionError, match="linked"):
        rights._prepare_log(OTHER, tmp_path / "linked")
    (tmp_path / "symlink").symlink_to(tmp_path / "trap")
    os.mkfifo(tmp_path / "pipe")
    for name in ("symlink", "pipe"):  # a pipe without a reader would wait for one
        with pytest.raises(OSError, match=name):
            rights._prepare_log(OTHER, tmp_path / name)
    assert given.logs == []


def test_who_can_append_is_tried_and_for_root_looked_up(tmp_path: Path, given: Given) -> None:
    assert rights._can_append(OTHER, tmp_path / "new.log")
    assert (tmp_path / "new.log").exists()
    assert not rights._can_append(OTHER, tmp_path / "none" / "new.log")
    assert not rights._can_append(ROOT, tmp_path / "none")
    assert rights._can_append(ROOT, Path("/dev/null"))
    assert rights._can_append(ROOT, _file(tmp_path / "own")) is (os.getuid() == 0)
    assert given == Given([], [])


def test_a_log_is_opened_as_its_writer_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Given
) -> None:
    opened: list[int] = []
    plain = os.open

    def spied(path: Path, flags: int, mode: int) -> int:
        opened.append(flags)
        return plain(path, flags, mode)

    monkeypatch.setattr(os, "open", spied)
    rights._can_append(OTHER, tmp_path / "a.log")
    monkeypatch.setattr(rights, "_can_append", lambda *_: len(opened) > 1)
    rights._prepare_log(OTHER, tmp_path / "b.log")
    # The kernel refuses any other way for a file with the attribute "append only".
    assert [flags & (os.O_ACCMODE | os.O_APPEND) for flags in opened] == [
        os.O_WRONLY | os.O_APPEND,
        os.O_WRONLY | os.O_APPEND,
    ]
    assert given.logs == [(4_001, -1)]


def test_files_are_used_as_the_user_meanwhile_and_by_root_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[tuple[str, object]] = []
    for name in ("setgroups", "setegid", "seteuid"):
        monkeypatch.setattr(os, name, lambda value, name=name: done.append((name, value)))
    monkeypatch.setattr(os, "getgroups", lambda: [7])
    monkeypatch.setattr(os, "getegid", lambda: 8)
    monkeypatch.setattr(os, "getgrouplist", lambda name, gid: [gid, len(name)])
    with pytest.raises(KeyError), rights._acting_as(OTHER):
        assert done == [("setgroups", [4_002, 5]), ("setegid", 4_002), ("seteuid", 4_001)]
        done.clear()
        raise KeyError
    assert done == [("seteuid", 0), ("setegid", 8), ("setgroups", [7])]


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
    monkeypatch.setattr(pwd, "getpwuid", lambda _: ROOT)
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


def _file(path: Path) -> Path:
    path.write_text("")
    return path
