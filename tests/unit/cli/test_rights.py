"""The files of a node, which its user gets before it serves."""

import os
import pwd
import stat
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from headgate.cli import rights

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
    (state / "nowhere").symlink_to(tmp_path / "gone")
    given.files.clear()
    rights._prepare(OTHER, rights.Places(state))
    assert sorted(name for name, _, _ in given.files) == [".", ".", "file", "nowhere"]
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


def test_a_state_directory_that_its_user_cannot_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Given
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(PermissionError, match="state"):
        rights._prepare(OTHER, rights.Places(tmp_path / "state"))
    assert given.logs == []


def test_a_log_is_made_for_its_writer_and_keeps_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Given
) -> None:
    log = tmp_path / "access.log"
    can = iter([False, True])
    monkeypatch.setattr(rights, "_can_append", lambda *_: next(can))
    rights._prepare(OTHER, rights.Places(tmp_path / "state", log))
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


def test_root_appends_to_what_is_its_own_or_no_file_at_all(tmp_path: Path) -> None:
    theirs, pipe = _file(tmp_path / "theirs"), tmp_path / "pipe"
    os.mkfifo(pipe)
    if os.getuid() == 0:
        for path in (theirs, pipe):
            os.chown(path, 4_001, -1)
    assert not rights._can_append(ROOT, theirs)
    assert rights._can_append(ROOT, pipe)


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


def _file(path: Path) -> Path:
    path.write_text("")
    return path
