"""A master and an agent as processes: the figures of the REST API are the requests that were sent,
whatever process is replaced meanwhile."""

import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import MasterProcess, master
from running_node import Upstream, get
from waiting import until

_PATH = f"{W}/fleets/edge/metrics?range_s=3600&step_s=15&limit=1000"
_PATIENCE_S = 75.0
"""A look each 15 s, a heartbeat each 10 s, a write each 5 s."""


def points(person: Operator, query: str = "") -> list[dict[str, Any]]:
    """What the fleet served."""
    items: list[dict[str, Any]] = person.ask(_PATH + query)["items"]
    return items


def total(person: Operator, name: str = "requests") -> int:
    """The sum over all points."""
    return sum(point[name] or 0 for point in points(person))


def scraped(running: MasterProcess) -> str:
    """The master's own metrics."""
    found = re.search(r"http://127\.0\.0\.1:\d+/metrics", running.text())
    assert found is not None, running.text()
    with urllib.request.urlopen(found[0], timeout=45) as answer:  # noqa: S310 - a URL of ours
        return str(answer.read().decode())


@pytest.mark.timeout(300)
def test_the_figures_of_a_fleet_are_the_requests_that_were_sent(
    folder: Path, port: int, one: Upstream
) -> None:
    (folder / "m").mkdir()
    options = ("--listen", "127.0.0.1:0", "--fleet-tls", "--metrics-listen", "127.0.0.1:0")
    with master(folder / "m", *options) as running:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()
        with Node(folder, f"grpcs://127.0.0.1:{grpc}?rest={rest}", token) as node:
            put(person, port, one.address)
            spec = {"match": [{"path": {"exact": "/gone"}}], "respond": {"status": 404}}
            person.ask(f"{W}/resources/routes/gone", {"spec": spec}, "PUT")
            made = person.ask(f"{W}/revisions", {"fleet": "edge"})["number"]
            until(lambda: serving(person) == made, "it is serving")
            page = scraped(running)
            for line in (
                'headgate_agent_sessions{transport="grpc"} 1',
                "headgate_publish_serving_seconds_count 1",
                "headgate_offer_serving_seconds_count 1",
                'organisation="main",workspace="default",fleet="edge",state="connected"} 1',
            ):
                assert line in page, line
            for _ in range(40):
                assert get(port)[0] == 200
            for _ in range(7):
                assert get(port, "/gone")[0] == 404
            until(lambda: total(person) >= 47, "47 requests are seen", deadline_s=_PATIENCE_S)
            assert total(person) == 47
            assert (total(person, "client_errors"), total(person, "server_errors")) == (7, 0)
            (agent,) = {point["agent"] for point in points(person, "&by=agent")}
            assert agent == person.agent()["id"]
            busy = [point for point in points(person) if point["requests"]]
            assert all(0 < p["latency_p50_ms"] <= p["latency_p99_ms"] for p in busy)

            # A new data plane begins to count anew.
            assert node.command("upgrade").returncode == 0
            for _ in range(5):
                assert get(port)[0] == 200
            until(lambda: total(person) >= 52, "52 requests are seen", deadline_s=_PATIENCE_S)
            assert total(person) == 52
        assert running.stop() == 0
