"""A real agent and a master with real TLS: what is published is served, whatever happens."""

from pathlib import Path

import pytest
from agent_master import OWN, AgentMaster, RunningAgent
from ports import dead_port
from running_node import Upstream, get
from told import until_metrics_say, until_status_says
from waiting import until

from headgate.fleet.frames import Phase
from headgate.fleet.manifest import Json

Specs = dict[tuple[str, str], Json]


def config(port: int, upstream: str) -> Specs:
    return {
        ("listeners", "web"): {"address": f"127.0.0.1:{port}", "default": True},
        ("routes", "all"): {"upstream": "app"},
        ("upstreams", "app"): {"endpoints": [upstream]},
    }


def serves(port: int, body: bytes) -> None:
    def does() -> bool:
        try:
            return get(port)[1] == body
        except OSError:
            return False

    until(does, f"answers {body!r}")


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_an_agent_enrols_and_serves_what_is_published(
    folder: Path, port: int, one: Upstream, two: Upstream, engine: str
) -> None:
    with AgentMaster() as master, RunningAgent(folder, master, master.token(), "--engine", engine):
        first = master.publish(config(port, one.address))
        agent = master.until(first, Phase.SERVING)
        assert get(port) == (200, b"one")
        phases = list(agent.at)
        # What does not last is not told: between the second and the last one come those that did.
        assert (*phases[:2], phases[-1]) == (Phase.OFFERED, Phase.RECEIVED, Phase.SERVING)
        assert phases == sorted(phases, key=lambda phase: phase.value)
        # nginx was told, and has to soak; a data plane takes a plan and proves it in one step.
        assert (Phase.APPLIED in phases) == (engine == "nginx")
        second = master.publish(config(port, two.address))
        agent = master.until(second, Phase.SERVING)
        serves(port, b"two")
        assert agent.report is not None
        assert agent.report.fault is None


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_revision_that_cannot_be_served_is_refused_with_its_object(
    folder: Path, port: int, one: Upstream, engine: str
) -> None:
    with (
        AgentMaster() as master,
        RunningAgent(folder, master, master.token(), "--engine", engine) as node,
    ):
        master.until(master.publish(config(port, one.address)), Phase.SERVING)
        broken = config(port, one.address)
        broken["routes", "new"] = {"match": {"path": {"prefix": 7}}, "upstream": "app"}
        agent = master.until(master.publish(broken), Phase.REJECTED)
        assert agent.report is not None
        fault = agent.report.fault
        assert fault is not None
        assert (fault.object, fault.file, fault.line) == ("routes/new", "routes/new.json", 1)
        assert not fault.is_transient
        assert get(port) == (200, b"one")
        assert node.revision() == 1
        status = node.command("status").stdout
        assert "revision    1 (" in status
        assert "was received and refused" in status
        master.until(master.publish(config(port, one.address)), Phase.SERVING)


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_broken_object_is_quarantined_alone_and_its_requests_go_nowhere_else(
    folder: Path, port: int, one: Upstream, two: Upstream, engine: str
) -> None:
    good = config(port, one.address)
    good["upstreams", "secret"] = {"endpoints": [two.address]}
    admin = {"match": {"path": {"prefix": "/admin"}}, "upstream": "secret"}
    good["routes", "admin"] = admin
    with (
        AgentMaster() as master,
        RunningAgent(folder, master, master.token(), "--engine", engine) as node,
    ):
        master.until(master.publish(good), Phase.SERVING)
        assert get(port, "/admin") == (200, b"two")
        agent = master.until(
            master.publish({**good, ("routes", "admin"): {**admin, "wrong": 1}}), Phase.SERVING
        )
        assert agent.report is not None
        assert agent.report.fault is not None
        assert agent.report.fault.code == "quarantined"
        assert agent.report.fault.object == "routes/admin"
        assert get(port, "/admin") == (200, b"two"), "its last good form serves on"
        moved = {**admin, "wrong": 1, "middlewares": [{"respond": {"status": 403}}]}
        master.until(master.publish({**good, ("routes", "admin"): moved}), Phase.SERVING)
        until(lambda: get(port, "/admin")[0] == 503, "the quarantined route is closed")
        assert b"quarantined" in get(port, "/admin")[1]
        assert get(port, "/") == (200, b"one")
        until_status_says(node, "quarantined route admin: requests for it get 503")
        explained = node.command("explain", f"http://a.example:{port}/admin")
        assert "quarantined" in explained.stdout, explained.stderr
        until_metrics_say(node, 'headgate_config_quarantined{kind="route",form="closed"} 1')
        master.until(master.publish(good), Phase.SERVING)
        serves(port, b"one")
        assert get(port, "/admin") == (200, b"two")


def test_a_restart_without_the_master_serves_the_last_good_revision(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with AgentMaster() as master:
        with RunningAgent(folder, master, master.token()):
            first = master.publish(config(port, one.address))
            before = master.until(first, Phase.SERVING)
        master.stop()
        with RunningAgent(folder, master, None) as node:
            node.until_ready()
            assert get(port) == (200, b"one")
            assert not node.is_connected()
            status = node.command("status").stdout
            assert "not connected" in status
            until(lambda: node.revision() == first, "the revision that serves is known")
            offers = before.at[Phase.OFFERED]
            master.start()
            until(node.is_connected, "the agent is back")
            assert master.agent().hello is not None
            held = master.agent().hello.held  # type: ignore[union-attr]
            assert held.serving is not None
            assert held.serving.revision == first
            assert master.agent().at[Phase.OFFERED] == offers, "what was finished is not repeated"
            master.until(master.publish(config(port, two.address)), Phase.SERVING)
            serves(port, b"two")


def test_a_revoked_agent_gets_no_config_and_serves_on(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with AgentMaster() as master, RunningAgent(folder, master, master.token()) as node:
        master.until(master.publish(config(port, one.address)), Phase.SERVING)
        (name,) = master.book.agents
        master.cut(name)
        until(lambda: not node.is_connected(), "the session ends")
        master.publish(config(port, two.address))
        until(lambda: "revoked" in node.command("status").stdout, "the reason is told")
        assert get(port) == (200, b"one")
        assert node.revision() == 1


def test_secrets_come_with_the_config_and_only_the_node_may_read_them(
    folder: Path, port: int, one: Upstream
) -> None:
    with AgentMaster() as master, RunningAgent(folder, master, master.token()) as node:
        found = config(port, one.address)
        master.until(master.publish(found, {"note": b"for nobody else"}), Phase.SERVING)
        bundles = list((node.state / "master" / "bundles").glob("*.tar"))
        assert bundles
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in bundles)
        assert (node.state / "master" / "agent.key").stat().st_mode & 0o777 == 0o600
        token = Path(f"/proc/{node.process.pid}/cmdline").read_bytes()
        assert b"sha256:" not in token, "the token is not on the command line"


def test_a_token_that_the_master_does_not_know_ends_the_node_with_a_reason(folder: Path) -> None:
    with AgentMaster() as master:
        token = master.token()
        wrong = "x" * 20 + token[token.index(".") :]
        with RunningAgent(folder, master, wrong) as node:
            assert node.process.wait(60) == 78
            assert "the master refuses this node" in node.log.read_text()


def test_a_master_without_the_pinned_authority_is_not_trusted(folder: Path) -> None:
    with AgentMaster() as master, AgentMaster() as other:
        with RunningAgent(folder, master, other.token()) as node:
            assert node.process.wait(60) == 78
            assert "no authority of this master has the pin" in node.log.read_text()
        assert not master.book.agents


def test_without_a_master_a_new_node_waits_and_says_so(folder: Path, port: int) -> None:
    master = AgentMaster()
    with dead_port() as rest:
        master.rest_port = rest
        with RunningAgent(folder, master, master.token(), own=OWN) as node:
            until(lambda: node.admin_status("/live") == 200, "the admin API answers")
            until(lambda: "does not answer" in node.command("status").stdout, "the reason")
            assert node.admin_status("/ready") == 503


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_the_master_is_told_what_checks_of_endpoints_found(
    folder: Path, port: int, one: Upstream, engine: str
) -> None:
    with (
        dead_port() as dead,
        AgentMaster() as master,
        RunningAgent(folder, master, master.token(), "--engine", engine),
    ):
        specs = config(port, one.address)
        check = {"interval": "5s", "timeout": "5s", "unhealthy": 1}
        endpoints = [one.address, f"127.0.0.1:{dead}"]
        specs["upstreams", "app"] = {"endpoints": endpoints, "health_check": check}
        master.until(master.publish(specs), Phase.SERVING)

        def found() -> list[str]:
            told = list(master.agent().notices)
            return [
                one.text
                for one in told
                if (one.kind, one.object, one.level) == ("endpoint.health", "upstream app", "warn")
            ]

        # On a busy machine a check of the other endpoint may come too late, and be told, too.
        down = f"endpoint 127.0.0.1:{dead} of upstream app is down"
        until(lambda: any(down in text for text in found()), "the master is told")
