"""What the processes of a node may do when root starts it."""

import os
import random
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from access_log import AccessLog
from peers import ROOT_ONLY, peer
from ports import Ports
from running_node import RunningNode, Upstream, config, get
from told import until_status_says
from waiting import until

from headgate.node.rights import capabilities

KEPT = {"dac_read_search", "net_bind_service"}
HELD = KEPT | {"net_admin"}
OWN = Path("/proc/self/status")
OURS = set(capabilities(int(re.findall("CapPrm:\\s(.*)", OWN.read_text())[0], 16)))
"""What a container may have taken from root is never kept."""
NGINX = OURS & {
    "chown", "dac_override", "dac_read_search", "fowner", "kill", "setgid", "setuid",
    "net_bind_service", "net_raw", "sys_nice", "sys_resource",
}  # fmt: skip
COPIES = {"net_admin", "sys_admin"}
LOOKS = {"sys_chroot", "sys_ptrace"}
LOW = Ports(random.sample([range(n, n + 8) for n in range(600, 1024 - 7, 8)], 52))
"""Ports below 1024, each for one test of all processes."""
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NOBODY = 65534

pytestmark = ROOT_ONLY


@pytest.fixture
def open_folder(folder: Path) -> Path:
    """A folder that every user may pass through."""
    folder.chmod(0o755)
    return folder


@pytest.fixture
def low_port() -> int:
    """A free port below 1024."""
    return LOW.take()


def of(pid: int, *names: str) -> list[str]:
    """Lines of /proc/PID/status, without their names."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = dict(line.split(":\t", 1) for line in text.splitlines())
    return [found[name] for name in names]


def rights(node: RunningNode) -> list[dict[str, Any]]:
    """What a node says of its processes."""
    found = node.status()["processes"]
    assert isinstance(found, list)
    return found


def test_no_process_keeps_what_serving_does_not_need(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        found = rights(node)
        assert [one["process"] for one in found] == ["supervisor", "control", "dataplane"]
        for entry in found:
            serves = entry["process"] == "dataplane"
            effective, permitted, bounds, none, seccomp = of(
                entry["pid"], "CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp"
            )
            kept = {"dataplane": (set(),), "control": (KEPT,)}.get(entry["process"], (KEPT, HELD))
            assert set(entry["capabilities"]) in kept
            assert (effective == permitted, none) == (True, "1")
            assert int(bounds, 16) & ~(1 << 12) == 1 << 2 | 1 << 10
            assert (seccomp, entry["seccomp"]) == (("2", True) if serves else ("0", False))
        # Each thread has rights of its own.
        plane = found[2]["pid"]
        for task in Path(f"/proc/{plane}/task").iterdir():
            assert of(int(task.name), "CapEff", "Seccomp") == ["0000000000000000", "2"]
        assert get(port) == (200, b"one")


def test_root_may_become_another_user_and_loses_nothing_by_it(
    open_folder: Path, port: int, low_port: int, one: Upstream
) -> None:
    logs = open_folder / "logs"
    logs.mkdir(0o755)
    extra = f'user = "nobody"\naccess_log = {{ sink = {{ path = "{logs}/access.log" }} }}\n'
    text = config(port, one.address, extra=extra)
    with RunningNode(open_folder, text) as node:  # as root before, to have its files there
        node.until_ready()
    with RunningNode(open_folder, text).until_ready() as node:
        for pid in (one["pid"] for one in rights(node)):
            assert of(pid, "Uid", "Gid") == ["\t".join([str(NOBODY)] * 4)] * 2
            assert of(pid, "Groups")[0].split() in ([], [str(NOBODY)])
            comm = Path(f"/proc/{pid}/comm")
            assert comm.stat().st_uid == NOBODY, "its user may look at it"
            assert comm.read_text().strip() in ("headgate", "headgate-dp", "headgate-ctl")
        assert "warning" not in node.command("status").stdout
        kept = {one["process"]: one["capabilities"] for one in rights(node)}
        assert set(kept["supervisor"]) in (KEPT, HELD)
        assert (set(kept["control"]), kept["dataplane"]) == (KEPT, [])
        # A port that only root may open, and a file that only root may read.
        hidden = open_folder / "headgate.toml"
        node.write(text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{low_port}"))
        hidden.chmod(0o600)
        assert node.admin("POST", "/reload")[0] == 200
        assert get(low_port) == (200, b"one")
        assert "a.example" in AccessLog(logs / "access.log").texts(1)[0]
        mode = (node.state / "admin.sock").stat()
        assert (mode.st_uid, stat.S_IMODE(mode.st_mode)) == (NOBODY, 0o600)
        generation, pid = node.data_plane()
        os.kill(pid, 9)
        until(lambda: node.data_plane()[0] > generation, "the next data plane")
        assert get(low_port) == (200, b"one")
        assert node.command("upgrade").returncode == 0
        assert node.command("drain").returncode == 0
    # And back: what belongs to the other user is root's again.
    text = config(port, one.address, extra='user = "root"')
    with RunningNode(open_folder, text).until_ready() as node:
        # A node that starts serves its last good config until the new one is read.
        assert node.admin("POST", "/reload")[0] == 200
        assert get(port) == (200, b"one")


def refusal(node: RunningNode) -> str:
    """What a node that does not start says."""
    assert node.process.wait(60) != 0
    return node.log.read_text()


def test_a_user_who_cannot_serve_is_refused_by_name(folder: Path, port: int, one: Upstream) -> None:
    unknown = f"nobody-{os.getpid()}"
    text = config(port, one.address, extra=f'user = "{unknown}"')
    with RunningNode(folder, text) as node:
        assert f'there is no user "{unknown}"; create it' in refusal(node)
    with RunningNode(folder, config(port, one.address, extra='user = "nobody"')) as node:
        text = refusal(node)
        assert f'the user "nobody" cannot use {node.state}: permission denied' in text.lower()


def test_a_node_that_stays_root_says_so(folder: Path, port: int, one: Upstream) -> None:
    warning = 'the node runs as root: create a system user "headgate", or write node.user'
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        node.until_logged("headgate: warning: the node runs as root")
        until_status_says(node, warning)
    meant = config(port, one.address, extra='user = "root"')
    with RunningNode(folder, meant).until_ready() as node:
        assert "runs as root" not in node.log.read_text()
        assert "runs as root" not in node.command("status").stdout


def in_every_set(pid: int) -> set[str]:
    """The capabilities in any set of a process, which cannot gain others."""
    assert of(pid, "NoNewPrivs") == ["1"]
    return {name for bits in of(pid, *SETS) for name in capabilities(int(bits, 16))}


def nginx_master(node: RunningNode) -> int:
    """The pid of nginx's master; 0 while nobody has written it."""
    try:
        return int((node.state / "nginx/run/nginx.pid").read_text())
    except (OSError, ValueError):
        return 0


def nginx_workers(master: int) -> list[int]:
    text = Path(f"/proc/{master}/task/{master}/children").read_text()
    return [int(child) for child in text.split()]


def is_confined(worker: int) -> bool:
    """Whether a worker of nginx is not root's and has no rights."""
    user, *rest = of(worker, "Uid", "CapPrm", "CapEff", "NoNewPrivs")
    return user.split()[0] != "0" and rest == [f"{0:016x}", f"{0:016x}", "1"]


@pytest.fixture
def own_nginx(open_folder: Path, low_port: int, one: Upstream) -> Iterator[RunningNode]:
    """A node that root starts and that serves a port below 1024 with an nginx of its own."""
    peer("nginx")
    peer("bwrap")
    text = config(low_port, one.address)
    with RunningNode(open_folder, text, "--engine", "nginx").until_ready() as node:
        yield node


def test_a_node_that_drives_nginx_keeps_only_what_that_takes(
    own_nginx: RunningNode, low_port: int, two: Upstream
) -> None:
    node, master = own_nginx, nginx_master(own_nginx)
    found = {one["process"]: one for one in rights(node)}
    assert list(found) == ["supervisor", "control", "nginx"]
    assert found["nginx"]["pid"] == master
    wanted = {"nginx": NGINX}
    for name, entry in found.items():
        kept = wanted.get(name, NGINX | COPIES | {"setpcap"})
        assert in_every_set(entry["pid"]) == set(entry["capabilities"]) == kept
        assert (entry["user"], entry["no_new_privs"]) == ("root", True)
    # One that was just forked is still what its master is.
    until(lambda: all(map(is_confined, nginx_workers(master))), "no worker has rights")
    assert "warning" not in node.command("status").stdout
    assert "warning" not in node.log.read_text()
    # It still serves, tests in the copy of the tree, reloads, and replaces its binary.
    assert get(low_port) == (200, b"one")
    node.write(config(low_port, two.address))
    assert node.admin("POST", "/reload")[0] == 200
    until(lambda: get(low_port) == (200, b"two"), "the second upstream")
    assert "less isolation" not in node.log.read_text()
    upgraded = node.command("nginx", "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    assert nginx_master(node) != master
    assert in_every_set(nginx_master(node)) == NGINX
    assert get(low_port) == (200, b"two")


def test_orphans_of_nginx_are_found_without_the_right_to_trace(
    own_nginx: RunningNode, low_port: int
) -> None:
    master = nginx_master(own_nginx)
    workers = nginx_workers(master)
    os.kill(master, 9)  # its workers go on, and hold the port
    until(
        lambda: (
            not any(Path(f"/proc/{pid}/cwd").exists() for pid in workers)
            and nginx_master(own_nginx) not in {0, master}
        ),
        "a new nginx instead of the orphans",
    )
    until(lambda: get(low_port) == (200, b"one"), "an answer of the new nginx")
    assert in_every_set(nginx_master(own_nginx)) == NGINX


def test_an_nginx_that_others_start_keeps_its_rights(
    open_folder: Path, port: int, one: Upstream
) -> None:
    conf = open_folder / "nginx.conf"
    pid = open_folder / "nginx.pid"
    conf.write_text(
        f"pid {pid};\nerror_log {open_folder}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; server {{ listen 127.0.0.1:{port}; return 204; }} }}\n"
    )
    binary = str(peer("nginx"))
    subprocess.run([binary, "-c", str(conf)], check=True)
    try:
        how = f'mode = "observe", start = "external", conf = "{conf}", pid = "{pid}"'
        text = config(port, one.address, extra=f"nginx = {{ {how} }}\n")
        with RunningNode(open_folder, text, "--engine", "nginx").until_ready() as node:
            found = rights(node)
            assert [one["process"] for one in found] == ["supervisor", "control"]
            for entry in found:
                kept = in_every_set(entry["pid"])
                assert kept - COPIES == NGINX | LOOKS | {"setpcap"}
            assert of(int(pid.read_text()), "NoNewPrivs") == ["0"]
    finally:
        subprocess.run([binary, "-c", str(conf), "-s", "quit"], check=True)
