"""A real agent over a longer time: its certificate grows old, its master is away."""

import datetime as dt
import socket
import time
from dataclasses import replace
from pathlib import Path

from agent_master import AgentMaster, RunningAgent
from live_master import now
from running_node import Upstream, get
from waiting import until

from headgate.certificates.authority import create
from headgate.certificates.rotation import Authorities
from headgate.fleet.frames import Phase
from headgate.master.fleet.book import AgentFacts, Enrolled
from headgate.master.fleet.memory_book import MemoryBook

_AGE = dt.timedelta(hours=20)  # of 24


class AgedBook(MemoryBook):
    """Who enrols gets a certificate that is old already; the next ones are new."""

    async def enrol(self, token: str, csr_pem: bytes, facts: AgentFacts, address: str) -> Enrolled:
        enrolled = await super().enrol(token, csr_pem, facts, address)
        old = self.authorities.issuer.client(csr_pem, enrolled.agent, now() - _AGE)
        return replace(enrolled, certificate_pem=old)


def about(node: RunningAgent) -> dict[str, object]:
    """What the node says of its master."""
    found = node.status()["master"]
    assert isinstance(found, dict)
    return found


def config(port: int, upstream: str) -> dict[tuple[str, str], object]:
    return {
        ("listeners", "web"): {"address": f"127.0.0.1:{port}", "default": True},
        ("routes", "all"): {"upstream": "app"},
        ("upstreams", "app"): {"endpoints": [upstream]},
    }


def test_an_agent_renews_its_certificate_and_dials_again_with_it(
    folder: Path, port: int, one: Upstream
) -> None:
    book = AgedBook(Authorities((create("fleet", now()),)))
    with AgentMaster(book) as master, RunningAgent(folder, master, master.token()) as node:
        until(lambda: node.admin_status("/live") == 200, "the admin API answers")
        soon = time.time() + 23 * 3600

        def is_renewed() -> bool:
            return float(str(about(node)["certificate_not_after"])) > soon

        until(is_renewed, "the next certificate")
        until(
            lambda: int(str(about(node)["dials"])) > 1 and node.is_connected(), "the next session"
        )
        assert (node.state / "master" / "agent.key").stat().st_mode & 0o777 == 0o600
        master.until(master.publish(config(port, one.address)), Phase.SERVING)
        assert get(port) == (200, b"one")


def test_what_happened_while_the_master_was_away_is_reported(
    folder: Path, port: int, one: Upstream
) -> None:
    with AgentMaster() as master:
        with RunningAgent(folder, master, master.token()):
            first = master.publish(config(port, one.address))
            reports = master.until(first, Phase.SERVING).reports
        master.stop()
        taken = socket.create_server(("127.0.0.1", port))
        with taken, RunningAgent(folder, master, None) as node:
            until(lambda: '"reason": "start"' in node.log.read_text(), "a start without its port")
            assert node.revision() == 0
            taken.close()
            assert node.command("reload").returncode == 0
            assert get(port) == (200, b"one")
            master.start()
            until(lambda: master.agent().reports > reports, "the report of it")
            said = master.agent().report
            assert said is not None
            assert (said.phase, said.version.revision) == (Phase.SERVING, first)
            assert node.revision() == first
