"""Two planes whose control link has certificates of the fleet's CA: had, renewed and revoked while
requests are served."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agent_master import OWN
from master_operator import Operator, W, put
from master_process import MasterProcess, master
from ports import free_port
from running_node import Upstream, get
from two_planes import Plane
from waiting import until

pytestmark = pytest.mark.timeout(400)
LOOKS_S = 120.0
"""Each end asks the master once a minute at least; a busy host takes longer."""


@dataclass
class Site:
    """A master, a control plane and a data plane that serves its config."""

    running: MasterProcess
    person: Operator
    control: Plane
    data: Plane
    port: int

    def data_plane(self) -> dict[str, Any]:
        """The master's view of the data plane."""
        return dict(self.person.ask(f"{W}/agents/{self.person.agent()['id']}/data-plane"))

    def token(self) -> str:
        """A join token of the data plane."""
        body = {"fleet": "edge", "data_plane_of": self.person.agent()["id"]}
        return str(self.person.ask(f"{W}/join-tokens", body)["token"])

    def are_linked(self) -> bool:
        """Whether both ends say that the link is up."""
        return self.data.is_linked() and self.control.is_linked()

    def serial(self) -> str:
        """The certificate that the data plane showed at the newest handshake."""
        peer = self.control.link().get("peer")
        return str(peer["certificate"].get("serial")) if isinstance(peer, dict) else ""


@pytest.fixture
def site(folder: Path, one: Upstream) -> Iterator[Site]:
    """Both planes, linked and serving; the data plane enrolled by a token of its own."""
    port, link_port = free_port(), free_port()
    (folder / "m").mkdir()
    (folder / "own.toml").write_text(OWN)
    with contextlib.ExitStack() as ends:
        running = ends.enter_context(master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls"))
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        put(person, port, one.address)
        person.ask(f"{W}/revisions", {"fleet": "edge"})
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()
        url = f"https://127.0.0.1:{rest}?grpc={grpc}"
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        link = f"127.0.0.1:{link_port}"
        own = ("--config", str(folder / "own.toml"))
        control = ends.enter_context(
            Plane(folder, "c").start(
                "control", "--dataplane", link, "--master-url", url, "--token", token, *own
            )
        )
        until(lambda: bool(person.agent()), "an agent that enrolled before there is a link")
        found = Site(running, person, control, Plane(folder, "d"), port)
        found.data.start(
            "dataplane", "--listen", link, "--master-url", url, "--token", found.token()
        )
        ends.enter_context(found.data)
        until(found.are_linked, "the link")
        until(lambda: serves(port), "answers")
        yield found


def serves(port: int) -> bool:
    """Whether requests are answered."""
    with contextlib.suppress(OSError):
        return get(port) == (200, b"one")
    return False


def until_serving(site: Site, done: Any, what: str) -> None:
    """Waits while every request is answered."""

    def is_done() -> bool:
        assert serves(site.port), f"a request failed while waiting for {what}"
        return bool(done())

    until(is_done, what, deadline_s=LOOKS_S)


def test_a_link_has_certificates_of_the_fleet_that_are_renewed_under_traffic(site: Site) -> None:
    agent = site.person.agent()["id"]
    assert site.data.link()["certificate"]["names"] == [f"headgate://dataplane/{agent}"]  # type: ignore[index]
    assert site.control.link()["certificate"]["names"] == [f"headgate://agent/{agent}"]  # type: ignore[index]
    first = site.serial()
    assert site.data_plane()["certificate_serial"] == first != ""
    # A new authority is announced: the data plane renews without being told.
    site.person.ask("/api/v1/master/authority/rotation", {"step": "announce"})
    until_serving(site, lambda: site.data_plane()["certificate_serial"] != first, "a renewal")
    second = site.data_plane()["certificate_serial"]
    until_serving(site, lambda: site.serial() == second and site.are_linked(), "the new link")
    # Without a master the link comes back after a restart of either end.
    assert site.running.stop() == 0
    for plane in (site.data, site.control):
        plane.process.kill()
        plane.process.wait()
        plane.start()
        until(site.are_linked, "the link without a master")
    until(lambda: serves(site.port), "answers")


def test_a_revoked_data_plane_gets_nothing_more_and_another_one_takes_its_place(
    site: Site, folder: Path
) -> None:
    agent = site.person.agent()["id"]
    site.person.ask(f"{W}/agents/{agent}/data-plane", method="DELETE")
    until_serving(site, lambda: not site.control.is_linked(), "the end of the link")
    assert "revoked or replaced" in str(site.control.link()["error"])
    token = site.token()
    arguments = [*site.data._arguments[:-1], token]
    site.data.end()
    with Plane(folder, "e").start(*arguments) as another:
        site.data = another
        until(site.are_linked, "the link to the other one", deadline_s=LOOKS_S)
        until(lambda: serves(site.port), "answers")
