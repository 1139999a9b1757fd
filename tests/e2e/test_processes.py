"""What holds between a node's processes, and towards whoever started it."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from running_node import RunningNode, Upstream, config, get
from told import until_metric
from waiting import DEADLINE_S, until

from headgate.cli import calls
from headgate.supervisor.state import AWAY_S

NO_CONTROL = """
import os, sys
class NoControl:
    def find_spec(self, name, path=None, target=None):
        if name == "headgate.node.start":
            os._exit(1)
sys.meta_path.insert(0, NoControl())
"""
"""Ends each process that becomes a control process."""


def test_the_last_good_plan_is_served_when_no_control_process_comes_up(
    folder: Path, port: int, one: Upstream
) -> None:
    text = config(port, one.address)
    with RunningNode(folder, text).until_ready() as node:
        assert node.command("drain").returncode == 0
    broken = folder / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(NO_CONTROL)
    with RunningNode(folder, text, PYTHONPATH=str(broken)) as node:
        until(lambda: answers(port), "the last good plan")
        assert get(port) == (200, b"one")
        node.until_logged("serving_last_good_plan")


@pytest.mark.parametrize("lost", ["damaged", "removed"])
def test_an_upgrade_that_would_lose_the_last_good_plan_is_not_made(
    folder: Path, port: int, one: Upstream, lost: str
) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        before = node.data_plane()
        plan = node.state / "plan" / "plan"
        if lost == "damaged":
            plan.write_bytes(b"damaged")
        else:
            plan.unlink()
        upgraded = node.command("upgrade")
        assert upgraded.returncode != 0
        assert "the last good plan" in upgraded.stderr
        assert node.data_plane() == before
        assert get(port) == (200, b"one")


def answers(port: int) -> bool:
    """Whether somebody answers on a port."""
    try:
        return get(port)[0] == 200
    except OSError:
        return False


def test_nothing_outlives_a_supervisor_that_was_killed(
    folder: Path, port: int, one: Upstream
) -> None:
    text = config(port, one.address)
    with RunningNode(folder, text).until_ready() as node:
        children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children")
        pids = [int(pid) for pid in children.read_text().split()]
        assert len(pids) == 2
        node.process.kill()
        until(lambda: not any(alive(pid) for pid in pids), "the end of the children")
    with RunningNode(folder, text).until_ready():
        assert get(port) == (200, b"one")


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_data_plane_has_room_for_descriptors_before_they_are_open(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        pid = node.data_plane()[1]
        size = re.search(r"(?m)^FDSize:\s*(\d+)$", Path(f"/proc/{pid}/status").read_text())
        assert size
        limit, _ = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        assert int(size[1]) >= min(limit, 65_536)


def test_systemd_is_told_when_the_node_serves_reloads_and_leaves(
    folder: Path, port: int, one: Upstream
) -> None:
    path = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(DEADLINE_S)
        text = config(port, one.address)
        with RunningNode(folder, text, "--no-watch", NOTIFY_SOCKET=path) as node:
            assert manager.recv(256).decode() == f"READY=1\nSTATUS=serving 127.0.0.1:{port}"
            assert get(port) == (200, b"one")
            node.process.send_signal(signal.SIGHUP)
            assert manager.recv(256).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(256) == b"READY=1\nSTATUS=last reload: unchanged"
            node.process.send_signal(signal.SIGTERM)
            assert manager.recv(256) == b"STOPPING=1"
            assert node.process.wait(DEADLINE_S) == 0


def test_children_are_not_in_the_terminals_process_group(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        _, pid = node.data_plane()
        assert os.getpgid(pid) != os.getpgid(node.process.pid)


def test_each_process_has_a_name_of_its_own(folder: Path, port: int, one: Upstream) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        control = node.status()["control"]
        assert isinstance(control, dict)
        pids = (node.process.pid, node.data_plane()[1], control["pid"])
        names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids]
    assert names == ["headgate", "headgate-dp", "headgate-ctl"]


def test_the_first_control_process_is_as_good_as_the_next_one(
    folder: Path, port: int, one: Upstream
) -> None:
    """The first is a fork of `headgate run`, the next one is a program of its own."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[0] - 1, limits[1]))
    node = RunningNode(folder, config(port, one.address))
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with node.until_ready():
        first = node.status()["control"]
        assert isinstance(first, dict)
        assert b"headgate.node" not in Path(f"/proc/{first['pid']}/cmdline").read_bytes()
        shown = as_shown(first["pid"])
        os.kill(first["pid"], signal.SIGKILL)
        until(lambda: reloaded(node), "the next control process")
        second = node.status()["control"]
        assert isinstance(second, dict)
        assert b"headgate.node" in Path(f"/proc/{second['pid']}/cmdline").read_bytes()
        assert as_shown(second["pid"]) == shown


def as_shown(pid: int) -> list[str]:
    """The name of a process, whether it leads its group, what it may do, and its limits."""
    status = Path(f"/proc/{pid}/status").read_text()
    may = [line for line in status.splitlines() if line.startswith(("Uid", "Gid", "Cap", "NoNew"))]
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    limits = Path(f"/proc/{pid}/limits").read_text()
    return [name, str(os.getpgid(pid) == pid), *may, limits]


def test_status_says_how_it_is(folder: Path, port: int, one: Upstream) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        done = node.command("status")
        assert done.returncode == 0
        assert done.stdout.startswith("ready\n")
        assert one.address in done.stdout
        told = node.command("explain", "GET", f"http://127.0.0.1:{port}/x")
        assert told.returncode == 0, told.stderr
        assert "route all" in told.stdout
    done = node.command("status")
    assert done.returncode == 1
    assert "no node runs" in done.stderr


def test_a_supervisor_killed_in_a_drain_leaves_nothing_that_harms_the_next_one(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    """The data plane that drains on removes its own socket and not that of its successor."""
    first = RunningNode(folder, config(port, one.address)).until_ready()
    left = first.data_plane()[1]
    slow = threading.Thread(target=get, args=(port, "/slow"))
    slow.start()
    assert one.waiting.wait(DEADLINE_S)
    first.process.send_signal(signal.SIGTERM)
    until(lambda: not listens(port), "the end of listening")
    first.process.kill()
    first.process.wait()
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        assert alive(left)
        one.release.set()
        slow.join()
        until(lambda: not alive(left), "the end of the data plane that was left")
        plane = calls.supervisor(node.state, "status")["dataplane"]
        assert isinstance(plane, dict)
        assert Path(plane["grpc_socket"]).is_socket()
        node.write(config(port, two.address))
        assert node.admin("POST", "/reload")[0] == 200
        assert get(port) == (200, b"two")


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_reload_waits_for_the_next_control_process(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        for upstream in (two, one, two):
            control = node.status()["control"]
            assert isinstance(control, dict)
            node.write(config(port, upstream.address))
            killed = time.monotonic()
            os.kill(control["pid"], signal.SIGKILL)
            until(lambda: has_reloaded(node, killed), "the reload")  # noqa: B023
            assert get(port) == (200, upstream.name.encode())


def has_reloaded(node: RunningNode, killed: float) -> bool:
    """Whether `headgate reload` did; on a busy machine it may wait in vain, but not too briefly."""
    done = node.command("reload")
    if "is away" in done.stderr:
        assert time.monotonic() - killed >= AWAY_S, done.stderr
        return False
    assert done.returncode == 0, done.stderr
    return True


def test_no_process_of_a_node_can_gain_rights(folder: Path, port: int, one: Upstream) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        children = Path(f"/proc/{node.process.pid}/task/{node.process.pid}/children")
        pids = [node.process.pid, *map(int, children.read_text().split())]
        assert len(pids) == 3
        for pid in pids:
            assert "NoNewPrivs:\t1\n" in Path(f"/proc/{pid}/status").read_text()


def test_a_data_plane_that_hangs_is_found_and_replaced(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address)).until_ready() as node:
        generation, pid = node.data_plane()
        os.kill(pid, signal.SIGSTOP)
        until(lambda: node.data_plane()[0] > generation, "the next data plane")
        assert get(port) == (200, b"one")
        until_metric(node, "headgate_dataplane_hung_total", 1)
        node.until_told("dataplane.hung")
        node.until_told("dataplane.lost")
        node.until_logged('"dataplane_hung"')


def test_a_request_to_the_admin_api_waits_for_the_next_control_process(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        control = node.status()["control"]
        assert isinstance(control, dict)
        node.write(config(port, two.address))
        os.kill(control["pid"], signal.SIGKILL)
        until(lambda: not alive(control["pid"]), "the end of the control process")
        until(lambda: reloaded(node), "the reload")
        assert get(port) == (200, b"two")


def test_events_are_followed_from_one_control_process_to_the_next(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with RunningNode(folder, config(port, one.address), "--no-watch").until_ready() as node:
        told = re.compile(r"(?m)^20\S+ \S+Z info  config.applied: applied \(start\)$")
        until(lambda: told.search(node.command("events").stdout) is not None, "the event")
        command = [*node.program, "events", "--follow", "-o", "json"]
        command += ["--state-dir", str(node.state)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as follower:
            assert follower.stdout is not None
            found = map(json.loads, follower.stdout)
            first = next(one for one in found if one["kind"] == "config.applied")
            os.kill(node.status()["control"]["pid"], signal.SIGKILL)  # type: ignore[index]
            lost = next(one for one in found if one["kind"] == "events.lost")
            node.write(config(port, two.address))
            until(lambda: reloaded(node), "the reload")
            then = next(one for one in found if one["kind"] == "config.applied")
            assert first["seq"] < lost["seq"] < then["seq"]
            node.process.terminate()
            assert follower.wait(DEADLINE_S * 2) == 1, "the node has ended"


def reloaded(node: RunningNode) -> bool:
    """Whether a reload was answered by a control process; one that was refused fails the test."""
    try:
        return node.admin("POST", "/reload")[0] == 200
    except calls.AwayError:
        return False  # a busy machine: none has come up within the time that requests wait


def test_the_admin_api_says_that_no_control_process_comes_up(
    folder: Path, port: int, one: Upstream
) -> None:
    text = config(port, one.address)
    with RunningNode(folder, text).until_ready() as node:
        assert node.command("drain").returncode == 0
    broken = folder / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(NO_CONTROL)
    with RunningNode(folder, text, PYTHONPATH=str(broken)) as node:
        until(lambda: answers(port), "the last good plan")
        connection = calls.connection(node.state)
        connection.request("POST", "/reload")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("retry-after")) == (503, "1")
        assert b"the control process is away" in answer.read()
        done = node.command("status")
        assert done.returncode == 1
        assert "is away" in done.stderr
