"""Masters found in a procfs, and what is concluded from their titles and binaries."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from headgate.engines.nginx.instance.procfs import Procfs
from headgate.engines.nginx.observe.masters import Running, processes, running

_BINARY = (
    b"\x7fELF\0nginx/1.22.1\0configure arguments: --prefix=/usr/share/nginx"
    b" --conf-path=/etc/nginx/nginx.conf --http-log-path=/var/log/nginx/access.log\0"
)


@dataclass
class _Proc:
    """A procfs of files."""

    path: Path
    root: Path

    def add(self, pid: int, title: str, *, parent: int = 1, namespace: str = "1") -> None:
        """A process; `namespace` stands for both of its namespaces."""
        folder = self.path / str(pid)
        (folder / "ns").mkdir(parents=True)
        (folder / "task" / str(pid)).mkdir(parents=True)
        (folder / "task" / str(pid) / "children").write_text("")
        fields = ["S", str(parent), *["0"] * 17, str(1000 + pid), *["0"] * 30]
        (folder / "stat").write_text(f"{pid} (nginx) {' '.join(fields)}\n")
        (folder / "cmdline").write_bytes(title.encode() + b"\0")
        (folder / "root").symlink_to(self.root)
        for kind in ("mnt", "net"):
            (self.path / f"ns-{kind}-{namespace}").touch()
            (folder / "ns" / kind).symlink_to(self.path / f"ns-{kind}-{namespace}")
        if pid != parent and (self.path / str(parent)).exists():
            children = self.path / str(parent) / "task" / str(parent) / "children"
            children.write_text(children.read_text() + f"{pid} ")


@pytest.fixture
def proc(tmp_path: Path) -> _Proc:
    """A procfs in which we are process 5; the root of all others has an nginx binary."""
    root = tmp_path / "root"
    (root / "usr/sbin").mkdir(parents=True)
    (root / "usr/sbin/nginx").write_bytes(_BINARY)
    made = _Proc(tmp_path / "proc", root)
    made.add(5, "python")
    (made.path / "self").symlink_to(made.path / "5")
    return made


def _found(proc: _Proc) -> list[Running]:
    return running(Procfs(proc.path))


@pytest.mark.parametrize(
    ("arguments", "conf", "prefix"),
    [
        ("", "/etc/nginx/nginx.conf", "/usr/share/nginx"),
        (" -g daemon on; master_process on;", "/etc/nginx/nginx.conf", "/usr/share/nginx"),
        (" -c /srv/n.conf", "/srv/n.conf", "/usr/share/nginx"),
        (" -p /srv/ -c conf/n.conf", "/srv/conf/n.conf", "/srv/"),
        (" -p/srv -c/srv/x.conf -e /srv/err", "/srv/x.conf", "/srv"),
    ],
)
def test_a_master_s_paths_come_from_its_title_and_its_binary(
    proc: _Proc, arguments: str, conf: str, prefix: str
) -> None:
    proc.add(10, f"nginx: master process /usr/sbin/nginx{arguments}")
    (one,) = _found(proc)
    assert (one.conf, one.built_in.prefix, one.binary) == (conf, prefix, "/usr/sbin/nginx")
    assert one.built_in.version == "nginx/1.22.1"
    assert one.root == proc.path / "10/root"
    if "-e" in arguments:
        assert one.built_in.error_log == "/srv/err"


def test_a_master_in_other_namespaces_is_known_to_be_elsewhere(proc: _Proc) -> None:
    proc.add(10, "nginx: master process /usr/sbin/nginx")
    proc.add(20, "nginx: master process nginx -g daemon off;", namespace="2")
    here, there = _found(proc)
    assert here.shares_network
    assert not there.shares_network
    assert there.root == proc.path / "20/root"
    # Without a path in its title nobody can say which binary it is.
    assert (there.binary, there.conf) == ("", "/usr/local/nginx/conf/nginx.conf")


def test_its_workers_are_its_children_until_it_is_gone(proc: _Proc) -> None:
    proc.add(10, "nginx: master process /usr/sbin/nginx")
    proc.add(12, "nginx: worker process", parent=10)
    proc.add(11, "nginx: worker process is shutting down", parent=10)
    proc.add(13, "nginx: cache manager process", parent=10)
    (one,) = _found(proc)
    master, workers = processes(one, Procfs(proc.path))
    assert master is not None
    assert [(worker.pid, worker.shutting_down) for worker in workers] == [(11, True), (12, False)]
    (proc.path / "10/stat").write_text((proc.path / "10/stat").read_text().replace("1010", "2020"))
    assert processes(one, Procfs(proc.path)) == (None, [])
