"""One agent that drives several nginx, when something is wrong with one of them."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from foreign_nginx import ForeignNginx
from instances_agent import NODE, InstancesAgent, Office, own, watched
from master_process import master
from peers import peer
from ports import free_port
from running_node import HEADGATE, Upstream, get
from waiting import DEADLINE_S, until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def office(folder: Path) -> Iterator[Office]:
    """A master."""
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        yield Office(running)


def test_a_token_with_too_few_uses_names_the_instances_that_it_was_not_enough_for(
    folder: Path, office: Office, one: Upstream
) -> None:
    tables = [own(name, free_port()) for name in ("a", "b", "c")]
    with InstancesAgent(folder, office.url, office.token(2), *tables) as agent:
        made = office.publish(one.address)
        until(lambda: "refused" in _states(agent), "one is refused", deadline_s=120)
        (refused,) = (name for name, state in _by_name(agent).items() if state == "refused")
        enrolled = {"a", "b", "c"} - {refused}
        office.until_serving(made, *enrolled)
        assert set(office.agents()) == enrolled

        said = agent.command("status")
        assert said.returncode == 1
        (line,) = (line for line in said.stdout.splitlines() if line.startswith(refused))
        assert line.split(maxsplit=1)[1].startswith("refused: its config or its join token was")
        why = f'instance "{refused}": the master refuses this node: this join token is used up'
        until(lambda: why in agent.log.read_text(), "the log names the instance")
        assert agent.end() == 0


def test_an_nginx_with_a_broken_config_holds_up_nothing_and_its_status_says_why(
    folder: Path, office: Office, one: Upstream
) -> None:
    port = free_port()
    with ForeignNginx(folder, peer("nginx")) as theirs:
        theirs.conf.write_text("events {")
        tables = (watched("old", theirs, mode="guest"), own("new", port))
        with InstancesAgent(folder, office.url, office.token(2), *tables) as agent:
            office.until_serving(office.publish(one.address), "new")
            assert get(port)[1] == b"one"
            agent.until_instances_ready("new")
            assert not _is_ready(agent, "old")
            assert agent.command("status", "--instance", "new").returncode == 0
            assert agent.command("status", "--instance", "old").returncode == 1
            assert agent.command("status").returncode == 1
            assert get(theirs.port)[1] == b"theirs"


def test_a_reload_starts_and_ends_instances_and_touches_no_other(
    folder: Path, office: Office, one: Upstream
) -> None:
    left, right, third = free_port(), free_port(), free_port()
    with InstancesAgent(
        folder, office.url, office.token(3), own("left", left), own("right", right)
    ) as agent:
        made = office.publish(one.address)
        office.until_serving(made, "left", "right")
        agent.until_instances_ready("left", "right")
        pids = agent.pids()
        nginx = agent.one("right")["engine"]["pid"]

        agent.write(NODE + own("right", right) + own("third", third, 'admin = "nowhere"'))
        refused = agent.command("reload")
        assert refused.returncode == 78
        assert "headgate.toml:" in refused.stderr
        assert "node.instances.third.admin" in refused.stderr
        assert agent.pids() == pids

        agent.write(NODE + own("right", right) + own("third", third))
        done = agent.command("reload")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[:2] == ["third: started", "left: stopped"]
        assert done.stdout.splitlines()[2].startswith("right: unchanged")
        office.until_serving(made, "right", "third")
        until(lambda: "left" not in agent.every(), "it has left")
        assert agent.pids()["right"] == pids["right"]
        assert agent.one("right")["engine"]["pid"] == nginx
        assert (agent.place("left") / "master").is_dir()
        said = agent.command("nginx", "status")
        assert said.returncode == 0, said.stdout
        assert [line.split()[:3] for line in said.stdout.splitlines()] == [
            ["right", "in", "sync;"],
            ["third", "in", "sync;"],
        ]

        # By signal, and back: it has its identity and its last good revision, and takes no use.
        agent.write(NODE + own("right", right) + own("third", third) + own("left", left))
        agent.signal(signal.SIGHUP)
        agent.until_instances_ready("left", "right", "third")
        assert get(left)[1] == b"one"
        assert len(office.agents()) == 3

        _one_is_drained(agent)
        assert agent.command("drain").returncode == 0
        assert agent.process.wait(DEADLINE_S) == 0


def test_what_cannot_begin_says_what_to_write(folder: Path) -> None:
    config = folder / "node.toml"
    config.write_text(NODE + own("left", 8001) + own("right", 8002))
    agent = [str(HEADGATE), "agent", "--master-url", "grpcs://127.0.0.1", "--config", str(config)]
    agent += ["--state-dir", str(folder / "s")]
    code, said = _run(agent)
    assert code == 2
    assert 'instance "left" has not enrolled yet' in said
    code, said = _run([*agent, "--token", "t", "--admin", "127.0.0.1:9090"])
    assert code == 2
    assert "write `admin` for each of the node.instances" in said
    served = '[listeners.web]\naddress = "127.0.0.1:1"\ndefault = true\n'
    served += '[routes.all]\nrespond = { body = "x" }\n'
    config.write_text(config.read_text() + served)
    code, said = _run([str(HEADGATE), "run", str(config), "--state-dir", str(folder / "s")])
    assert code == 78
    assert "restart it as `headgate agent`, or remove them" in said


def _one_is_drained(agent: InstancesAgent) -> None:
    """It stays down, and is told; what needs a name asks for one."""
    assert agent.command("drain", "--instance", "third").returncode == 0
    assert agent.until_state("third", "ended")["why"] == "it was drained"
    said = agent.command("nginx", "status")
    assert [line.split()[0] for line in said.stdout.splitlines()] == ["left", "right", "third"]
    assert said.returncode == 1
    nameless = agent.command("events")
    assert nameless.returncode == 2
    assert 'name one: "left", "right" or "third"' in nameless.stderr


def _run(command: list[str]) -> tuple[int, str]:
    """What a command ends with, and what it says, without the frame around a usage error."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr


def _by_name(agent: InstancesAgent) -> dict[str, str]:
    return {name: one["state"] for name, one in agent.every().items()}


def _states(agent: InstancesAgent) -> set[str]:
    return set(_by_name(agent).values())


def _is_ready(agent: InstancesAgent, name: str) -> bool:
    return bool((agent.every().get(name, {}).get("node") or {}).get("ready"))
