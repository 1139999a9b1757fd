"""Reading an error log from a mark: our master's words, through rotation, or unknown."""

import errno
import os
from pathlib import Path

import pytest

from headgate.engines.nginx.apply import errorlog
from headgate.engines.nginx.apply.errorlog import ErrorLog, LogMark

AT = "2026/01/02 03:04:05"
EMERG = f'{AT} [emerg] 42#42: limit_req "z" uses the "$host" key'
FATAL = f"{AT} [alert] 42#42: worker process 7 exited with fatal code 2 and cannot be respawned"
KILLED = f"{AT} [alert] 42#42: worker process 8 exited on signal 11"
BIND = f"{AT} [emerg] 42#42: bind() to 0.0.0.0:80 failed (98: Address already in use)"
STILL = f"{AT} [emerg] 42#42: still could not bind()"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    log = tmp_path / "error.log"
    log.write_text(f"{EMERG}\n")
    return log


def add(path: Path, *lines: str) -> None:
    with path.open("a") as log:
        log.write("".join(f"{line}\n" for line in lines))


def test_only_what_comes_after_the_mark_counts(path: Path) -> None:
    log = ErrorLog(str(path))
    assert log.read(42).lines == ()
    add(path, FATAL)
    assert [(line.kind, line.worker) for line in log.read(42).lines] == [("fatal_exit", 7)]
    assert len(log.read(42).lines) == 1, "what was read is not read again"


def test_kinds_of_lines(path: Path) -> None:
    log = ErrorLog(str(path))
    add(path, EMERG, BIND, STILL, FATAL, KILLED)
    kinds = [line.kind for line in log.read(42).lines]
    assert kinds == ["emerg", "bind_retry", "emerg", "fatal_exit", "killed"]


@pytest.mark.parametrize(
    "line",
    [
        EMERG.replace("42#42", "43#43"),
        f"{AT} [error] 42#42: *1 connect() failed",
        f"{AT} [crit] 42#42: *1 SSL_do_handshake() failed",
        f"{AT} [notice] 42#42: signal process started",
        f"{AT} [alert] 42#42: unlink() failed",
        f'{AT} [error] 42#42: *1 client sent "[emerg] 42#42: x"',
        "[emerg] 42#42: without a time",
    ],
)
def test_other_masters_workers_and_clients_say_nothing(path: Path, line: str) -> None:
    log = ErrorLog(str(path))
    add(path, line)
    assert log.read(42).lines == ()


def test_any_master_counts_where_none_ran_before(path: Path) -> None:
    log = ErrorLog(str(path))
    add(path, EMERG.replace("42#42", "43#43"))
    assert len(log.read(None).lines) == 1


def test_a_line_is_read_once_it_is_whole(path: Path) -> None:
    log = ErrorLog(str(path))
    with path.open("a") as file:
        file.write(FATAL[:40])
        file.flush()
        assert log.read(42).lines == ()
        file.write(f"{FATAL[40:]}\n")
    assert len(log.read(42).lines) == 1


def test_a_rotated_log_is_read_to_its_end_and_then_the_new_one(path: Path) -> None:
    log = ErrorLog(str(path))
    add(path, FATAL)
    old = path.rename(path.with_name("error.log.1"))
    add(old, KILLED)
    path.write_text(f"{STILL}\n")
    seen = log.read(42)
    assert [line.kind for line in seen.lines] == ["fatal_exit", "killed", "emerg"]
    assert seen.is_known


def test_what_the_master_still_writes_to_the_old_log_is_read_beside_the_new_one(
    path: Path,
) -> None:
    """What rotates logs makes the new file first and tells the master then."""
    log = ErrorLog(str(path))
    old = path.rename(path.with_name("error.log.1"))
    path.write_text("")
    assert log.read(42).is_known
    add(old, FATAL)
    add(path, STILL)
    seen = log.read(42)
    assert [line.kind for line in seen.lines] == ["fatal_exit", "emerg"]
    assert seen.is_known


def test_lines_that_come_while_the_new_log_is_found_are_not_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ErrorLog(str(path))
    look = Path.stat

    def rotated(self: Path) -> os.stat_result:
        monkeypatch.undo()
        add(path, FATAL)
        path.rename(path.with_name("error.log.1"))
        path.write_text("")
        return look(self)

    monkeypatch.setattr(Path, "stat", rotated)
    assert [line.kind for line in log.read(42).lines] == ["fatal_exit"]


def test_a_log_that_goes_between_two_looks_at_it_is_unknown_only_until_the_next_comes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ErrorLog(str(path))
    path.rename(path.with_name("error.log.1"))
    path.write_text("")

    def gone(*_: object) -> int:
        monkeypatch.undo()
        raise FileNotFoundError(errno.ENOENT, "gone")

    monkeypatch.setattr(os, "open", gone)
    assert not log.read(42).is_known
    add(path, FATAL)
    seen = log.read(42)
    assert seen.is_known
    assert len(seen.lines) == 1


def test_a_log_that_was_cut_absent_or_removed_is_unknown(path: Path, tmp_path: Path) -> None:
    cut = ErrorLog(str(path))
    with path.open("a") as file:
        file.write("half of a")
    assert cut.read(42).is_known
    path.write_text("")
    assert cut.read(42).why_unknown == "it was cut"
    add(path, FATAL)
    assert [line.text for line in cut.read(42).lines] == [FATAL], "from its start"
    absent = ErrorLog(str(tmp_path / "none.log"))
    assert absent.mark == LogMark(0, 0)
    assert absent.read(42).why_unknown == f"{tmp_path}/none.log: No such file or directory"
    (tmp_path / "none.log").write_text(f"{FATAL}\n")
    seen = absent.read(42)
    assert not seen.is_known and len(seen.lines) == 1, "what it says later is believed"
    removed = ErrorLog(str(path))
    path.unlink()
    assert removed.read(42).why_unknown == f"{path} was removed"
    path.write_text(f"{FATAL}\n")
    seen = removed.read(42)
    assert seen.is_known and len(seen.lines) == 1, "the next one is read from its start"


def test_a_mark_of_before_a_crash_is_taken_up(path: Path) -> None:
    mark = ErrorLog(str(path)).mark
    add(path, FATAL)
    again = ErrorLog(str(path), LogMark.parse(mark.text()))
    assert len(again.read(42).lines) == 1
    path.rename(path.with_name("error.log.1"))
    path.write_text("")
    late = ErrorLog(str(path), mark).read(42)
    assert late.why_unknown == "it was rotated while headgate did not read it"


def test_a_log_that_cannot_be_read_is_unknown(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    assert ErrorLog(str(folder)).read(42).why_unknown == f"{folder}: Is a directory"
    log = ErrorLog(str(path.rename(folder / "error.log")))
    folder.rename(tmp_path / "old")
    folder.write_text("")
    assert log.read(42).why_unknown == f"{folder}/error.log: Not a directory"


def test_a_log_that_nobody_writes_to_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "error.log"
    os.mkfifo(fifo)
    look = os.open

    def opened(path: str, flags: int) -> int:
        assert flags & os.O_NONBLOCK, "open(2) would wait for a writer"
        return look(path, flags)

    monkeypatch.setattr(os, "open", opened)
    assert ErrorLog(str(fifo)).read(42).why_unknown == f"{fifo}: Illegal seek"


def test_of_a_log_that_grows_faster_than_it_is_read_a_look_reads_only_a_part(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 65_536
    monkeypatch.setattr(errorlog, "_MOST_BYTES", part)
    log = ErrorLog(str(path))
    add(path, FATAL, "x" * (part - len(FATAL) - 2), KILLED)
    assert [line.kind for line in log.read(42).lines] == ["fatal_exit"]
    assert [line.kind for line in log.read(42).lines] == ["fatal_exit", "killed"]


def test_two_files_are_held_open_at_most_and_none_after_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fds: list[int] = []
    look = os.open

    def opened(path: str, flags: int) -> int:
        fds.append(look(path, flags))
        return fds[-1]

    def left() -> int:
        return len([fd for fd in fds if Path(f"/proc/self/fd/{fd}").exists()])

    monkeypatch.setattr(os, "open", opened)
    log = ErrorLog(str(path))
    oldest = path.rename(path.with_name("error.log.1"))
    path.write_text("")
    log.read(42)
    stat = Path.stat

    def rotated_again(self: Path) -> os.stat_result:
        monkeypatch.setattr(Path, "stat", stat)
        add(oldest, FATAL)
        path.rename(path.with_name("error.log.2"))
        path.write_text("")
        return stat(self)

    monkeypatch.setattr(Path, "stat", rotated_again)
    assert [line.kind for line in log.read(42).lines] == ["fatal_exit"], "it is read to its end"
    assert (len(fds), left()) == (3, 2)
    log.close()
    log.close()
    assert left() == 0


@pytest.mark.parametrize("text", ["", "1", "1:x", "x:1", ":"])
def test_what_is_no_mark_is_none(text: str) -> None:
    assert LogMark.parse(text) is None
