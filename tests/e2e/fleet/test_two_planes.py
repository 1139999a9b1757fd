"""The two planes of a node that a master drives: what is published is served over the link."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_master import AgentMaster
from ports import free_port
from running_node import Upstream, get
from two_planes import Planes, two_planes
from waiting import until

from headgate.fleet.frames import Phase
from headgate.fleet.manifest import Json

pytestmark = pytest.mark.timeout(300)
OWN = '[node]\nadmin = "off"\ndrain = { delay = "50ms", idle_grace = "100ms", deadline = "60s" }\n'


def config(port: int, upstream: str) -> dict[tuple[str, str], Json]:
    return {
        ("listeners", "web"): {"address": f"127.0.0.1:{port}", "default": True},
        ("routes", "all"): {"upstream": "app"},
        ("upstreams", "app"): {"endpoints": [upstream]},
    }


@pytest.fixture
def master() -> Iterator[AgentMaster]:
    with AgentMaster() as found:
        yield found


@pytest.fixture
def planes(folder: Path, master: AgentMaster) -> Iterator[Planes]:
    """Both planes; the control plane has a master."""
    with two_planes(folder) as found:
        (folder / "own.toml").write_text(OWN)
        where = ["--dataplane", f"{found.host}:{found.link_port}"]
        where += ["--dataplane-name", "dataplane.test", *found.files("ctl")]
        whose = ["--master-url", master.url, "--token", master.token()]
        found.data.start(*found.data_arguments())
        own = ["--config", str(folder / "own.toml")]
        found.control.start("control", *where, *whose, *own)
        found.until_linked()
        yield found


def serves(port: int, body: bytes) -> None:
    def does() -> bool:
        try:
            return get(port) == (200, body)
        except OSError:
            return False

    until(does, f"answers {body!r}")


def test_what_is_published_is_served_by_the_other_plane(
    planes: Planes, master: AgentMaster, one: Upstream, two: Upstream
) -> None:
    port = free_port()
    agent = master.until(master.publish(config(port, one.address)), Phase.SERVING)
    assert get(port) == (200, b"one")
    until(lambda: planes.data.digest() == planes.control.digest(), "the plan over there")
    broken = config(port, one.address)
    broken["routes", "new"] = {"match": {"path": {"prefix": 7}}, "upstream": "app"}
    agent = master.until(master.publish(broken), Phase.REJECTED)
    assert agent.report is not None and agent.report.fault is not None
    assert agent.report.fault.object == "routes/new"
    assert get(port) == (200, b"one")
    master.until(master.publish(config(port, two.address)), Phase.SERVING)
    serves(port, b"two")


def test_either_plane_and_the_master_may_go_and_come_back(
    planes: Planes, master: AgentMaster, one: Upstream, two: Upstream
) -> None:
    port = free_port()
    master.until(master.publish(config(port, one.address)), Phase.SERVING)
    planes.control.process.kill()
    planes.control.process.wait()
    assert get(port) == (200, b"one"), "the data plane needs nobody"
    # What is published meanwhile is served once the control plane is back.
    second = master.publish(config(port, two.address))
    planes.control.start()
    master.until(second, Phase.SERVING)
    serves(port, b"two")
    planes.data.process.kill()
    planes.data.process.wait()
    until(lambda: not planes.control.is_linked(), "the end of the link")
    planes.data.start()
    serves(port, b"two")
    until(planes.control.is_linked, "the link")
    master.stop()
    planes.control.end()
    planes.control.start()
    until(planes.control.is_linked, "the link without a master")
    until(planes.control.ready, "readiness with the bundle on disk")
    assert get(port) == (200, b"two")
    master.start()
    master.until(master.publish(config(port, one.address)), Phase.SERVING)
    serves(port, b"one")


def test_a_revision_is_not_served_while_the_data_plane_is_away(
    planes: Planes, master: AgentMaster, one: Upstream, two: Upstream
) -> None:
    port = free_port()
    master.until(master.publish(config(port, one.address)), Phase.SERVING)
    planes.data.process.kill()
    planes.data.process.wait()
    until(lambda: not planes.control.is_linked(), "the end of the link")
    second = master.publish(config(port, two.address))
    agent = master.until(second, Phase.REJECTED)
    assert agent.report is not None and agent.report.fault is not None
    assert agent.report.fault.is_transient
    planes.data.start()
    serves(port, b"one")
    master.until(second, Phase.SERVING)
    serves(port, b"two")
