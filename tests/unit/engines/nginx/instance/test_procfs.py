"""Processes read from a /proc that a test wrote."""

import os
from pathlib import Path

import pytest

from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.instance import find
from headgate.engines.nginx.instance.find import SeveralMastersError
from headgate.engines.nginx.instance.place import Place
from headgate.engines.nginx.instance.procfs import Procfs, Seen

CONF = "/state/current/nginx.conf"
MASTER = f"nginx: master process /usr/sbin/nginx -c {CONF} -p /state/current/"
COPY = 0x40


class FakeProc:
    """A procfs of files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.procfs = Procfs(path)

    def add(
        self,
        pid: int,
        title: str,
        *,
        parent: int = 1,
        started: int = 100,
        flags: int = 0,
        state: str = "S",
    ) -> None:
        """A process; its command's name is one that is hard to read."""
        folder = self.path / str(pid)
        (folder / "task" / str(pid)).mkdir(parents=True)
        fields = [state, str(parent), *["0"] * 4, str(flags), *["0"] * 12, str(started), "0"]
        (folder / "stat").write_text(f"{pid} (ngi) nx() {' '.join(fields)}")
        (folder / "cmdline").write_bytes(title.encode().replace(b" ", b"\0") + b"\0\0\0")
        status = "Name:\tnginx\nUid:\t0\t33\t33\t33\nGid:\t0\t33\t33\t34\nGroups:\t33 4 \n"
        (folder / "status").write_text(status)
        children = self.path / str(parent) / "task" / str(parent)
        (folder / "task" / str(pid) / "children").write_text("")
        if children.is_dir():
            with (children / "children").open("a") as file:
                file.write(f"{pid} ")


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    """An empty procfs."""
    return FakeProc(tmp_path)


def found(proc: FakeProc, place: Place) -> Seen | None:
    """The master, where masters without `-c` run Debian's own config."""
    return find.master(place, proc.procfs, lambda _: "/etc/nginx/nginx.conf")


def test_fields_after_a_name_with_parentheses_are_read_right(proc: FakeProc) -> None:
    proc.add(7, MASTER, parent=3, started=4711, flags=COPY)
    seen = proc.procfs.look(7)
    assert seen == Seen(7, 3, 4711, True, MASTER)
    assert seen.config() == CONF


def test_a_zombie_is_no_process(proc: FakeProc) -> None:
    proc.add(7, MASTER, state="Z")
    assert proc.procfs.look(7) is None
    assert not proc.procfs.is_same(Process(7, 100))


def test_a_worker_that_leaves_is_told_from_one_that_serves(proc: FakeProc) -> None:
    proc.add(7, MASTER)
    proc.add(8, "nginx: worker process", parent=7)
    proc.add(9, "nginx: worker process is shutting down", parent=7)
    proc.add(10, "nginx: cache manager process", parent=7)
    workers = [child.process for child in proc.procfs.children(7) if child.is_worker]
    assert workers == [Process(8, 100), Process(9, 100, shutting_down=True)]


def test_children_are_found_without_the_kernels_list_too(proc: FakeProc) -> None:
    proc.add(7, MASTER)
    proc.add(8, "nginx: worker process", parent=7)
    (proc.path / "7/task/7/children").unlink()
    assert [child.pid for child in proc.procfs.children(7)] == [8]


def test_rights_are_those_that_file_access_goes_by(proc: FakeProc) -> None:
    proc.add(7, MASTER)
    rights = proc.procfs.rights(7)
    assert rights is not None
    assert (rights.uid, rights.gid, rights.groups) == (33, 34, frozenset({33, 4}))
    assert proc.procfs.rights(8) is None


def test_a_master_is_found_by_what_it_was_started_with(proc: FakeProc) -> None:
    proc.add(7, MASTER)
    proc.add(8, "nginx: master process /usr/sbin/nginx -g daemon on; master_process on;")
    proc.add(9, "vim nginx: master process -c " + CONF)
    by_title = found(proc, Place(CONF))
    assert by_title is not None
    assert by_title.pid == 7
    debian = found(proc, Place("/etc/nginx/nginx.conf"))
    assert debian is not None
    assert debian.pid == 8
    assert found(proc, Place("/other.conf")) is None


def test_a_relative_config_is_below_the_prefix(proc: FakeProc) -> None:
    proc.add(7, "nginx: master process nginx -p /srv/web/ -c conf/nginx.conf")
    seen = found(proc, Place("/srv/web/conf/nginx.conf"))
    assert seen is not None


def test_a_worker_that_was_just_forked_is_no_second_master(proc: FakeProc) -> None:
    proc.add(7, MASTER)
    proc.add(8, MASTER, parent=7, flags=COPY)
    seen = found(proc, Place(CONF))
    assert seen is not None
    assert seen.pid == 7
    assert find.other_master(seen, Place(CONF), proc.procfs) is None


def test_in_an_upgrade_the_new_master_is_the_master_and_the_old_one_is_known(
    proc: FakeProc,
) -> None:
    proc.add(7, MASTER, flags=COPY)
    proc.add(8, MASTER, parent=7)
    seen = found(proc, Place(CONF))
    assert seen is not None
    assert seen.pid == 8
    other = find.other_master(seen, Place(CONF), proc.procfs)
    assert other is not None
    assert other.pid == 7


def test_two_that_have_nothing_to_do_with_each_other_are_not_guessed_between(
    proc: FakeProc, tmp_path: Path
) -> None:
    proc.add(7, MASTER)
    proc.add(8, MASTER)
    with pytest.raises(SeveralMastersError, match="7, 8; name the pid file of one"):
        found(proc, Place(CONF))
    pid_path = tmp_path / "nginx.pid"
    pid_path.write_text("8\n")
    seen = found(proc, Place(CONF, pid_path=str(pid_path)))
    assert seen is not None
    assert seen.pid == 8


@pytest.mark.parametrize("text", ["", "x", "-7", "999999999999", "1 2"])
def test_a_pid_file_with_anything_else_is_not_believed(
    proc: FakeProc, tmp_path: Path, text: str
) -> None:
    pid_path = tmp_path / "nginx.pid"
    pid_path.write_text(text)
    assert find.pid_file(str(pid_path)) == 0
    proc.add(7, MASTER)
    seen = found(proc, Place(CONF, pid_path=str(pid_path)))
    assert seen is not None
    assert seen.pid == 7


@pytest.mark.parametrize(
    ("options", "hides"),
    [("rw", False), ("rw,hidepid=2", True), ("rw,hidepid=invisible,gid=4", True)],
)
def test_a_proc_that_hides_others_is_noticed(proc: FakeProc, options: str, hides: bool) -> None:
    (proc.path / "self").mkdir()
    (proc.path / "self/mounts").write_text(f"proc {proc.path} proc {options} 0 0\n")
    assert proc.procfs.hides_others() is hides


def test_this_very_process_is_itself() -> None:
    seen = Procfs().look(os.getpid())
    assert seen is not None
    assert Procfs().is_same(seen.process)
    assert not Procfs().is_same(Process(os.getpid(), seen.started + 1))
