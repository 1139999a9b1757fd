"""One agent that drives several real nginx, at a real master."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from foreign_nginx import USER, ForeignNginx
from instances_agent import InstancesAgent, Office, own, watched
from master_process import master
from peers import peer
from ports import free_port
from running_node import Upstream, get
from waiting import until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def office(folder: Path) -> Iterator[Office]:
    """A master."""
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        yield Office(running)


@pytest.fixture
def theirs(folder: Path) -> Iterator[ForeignNginx]:
    """An nginx of others."""
    with ForeignNginx(folder, peer("nginx")) as nginx:
        yield nginx


def _told(office: Office) -> set[str]:
    """The names by which agents told of what they drive."""
    return {e["name"] for row in office.agents().values() for e in row["facts"]["engines"]}


def _is_passed_through_only(agent: InstancesAgent) -> None:
    """Others reach nginx's files, and cannot list the directory of the state."""
    inside = agent.place("left") / "nginx" / "run" / "nginx.pid"
    looked = subprocess.run(["/usr/bin/stat", inside], user=USER, group=USER, check=False)
    assert looked.returncode == 0
    listed = subprocess.run(["/bin/ls", agent.state], user=USER, group=USER, check=False)
    assert listed.returncode != 0


def test_one_agent_drives_three_nginx_and_each_is_a_row_at_the_master(
    folder: Path, office: Office, theirs: ForeignNginx, one: Upstream, two: Upstream
) -> None:
    left, right = free_port(), free_port()
    tables = (
        own("left", left, 'labels = { tier = "canary" }'),
        own("right", right, 'name = "edge-right"'),
        watched("old", theirs),
    )
    with InstancesAgent(folder, office.url, office.token(3), *tables) as agent:
        office.until_serving(office.publish(one.address), "left", "right")
        assert (get(left)[1], get(right)[1]) == (b"one", b"one")
        agent.until_instances_ready("left", "right", "old")

        # One that watches an nginx is ready before it has a master.
        until(lambda: _told(office) == {"left", "right", "old"}, "each has told of its nginx")
        rows = office.agents()
        assert sorted(rows) == ["left", "old", "right"]
        assert rows["right"]["name"] == "edge-right"
        assert rows["left"]["name"].endswith("-left")
        assert rows["left"]["labels"]["tier"] == "canary"
        assert len({row["labels"]["host"] for row in rows.values()}) == 1

        said = agent.command("status")
        assert said.returncode == 0, said.stderr
        lines = {line.split()[0]: line for line in said.stdout.splitlines()}
        assert sorted(lines) == ["left", "old", "right"]
        assert "ready, revision 1, connected, nginx/1." in lines["left"]
        assert str(theirs.conf) in lines["old"]
        assert agent.one("old")["engine"]["nginx"]["conf"] == str(theirs.conf)
        until(lambda: '"instance": "left"' in agent.log.read_text(), "its log lines name it")

        folder.chmod(0o711)
        if os.geteuid() == 0:
            _is_passed_through_only(agent)

        pids = agent.pids()
        office.until_serving(office.publish(two.address), "left", "right")
        assert (get(left)[1], get(right)[1]) == (b"two", b"two")
        assert agent.pids() == pids
        assert get(theirs.port)[1] == b"theirs"

        assert agent.end() == 0
        until(lambda: _refuses(left) and _refuses(right), "the end of the agent's nginx")
        assert get(theirs.port)[1] == b"theirs"
        assert not (agent.state / "instances.sock").exists()
    assert not any(_lives(pid) for pid in pids.values())


def test_an_instance_that_is_killed_comes_back_alone_and_its_nginx_serves_on(
    folder: Path, office: Office, one: Upstream
) -> None:
    left, right = free_port(), free_port()
    tables = (own("left", left), own("right", right))
    with InstancesAgent(folder, office.url, office.token(2), *tables) as agent:
        office.until_serving(office.publish(one.address), "left", "right")
        before = agent.pids()
        masters = {name: agent.one(name)["engine"]["pid"] for name in before}
        os.kill(before["left"], signal.SIGKILL)
        until(lambda: agent.pids().get("left") not in {None, before["left"]}, "another one")
        assert get(left)[1] == b"one"
        agent.until_instances_ready("left", "right")
        assert agent.pids()["right"] == before["right"]
        assert agent.every()["left"]["restarts"] == 1
        # A control process is ready before it has looked at its nginx.
        until(lambda: all(agent.one(name)["engine"]["pid"] for name in masters), "the looks")
        assert {name: agent.one(name)["engine"]["pid"] for name in before} == masters

        # The agent itself: what it started ends with it, and nginx serves on for the next one.
        before = agent.pids()
        agent.process.kill()
        agent.process.wait()
        until(lambda: not any(_lives(pid) for pid in before.values()), "the instances end")
        assert (get(left)[1], get(right)[1]) == (b"one", b"one")
    with InstancesAgent(folder, office.url, None, *tables) as agent:
        agent.until_instances_ready("left", "right")


def _refuses(port: int) -> bool:
    try:
        get(port)
    except OSError:
        return True
    return False


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
