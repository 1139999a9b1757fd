"""Real nodes of one fleet serve one revision, each with its own values."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fleet_node import Node
from master_operator import Operator, W
from master_process import master
from ports import free_port
from running_node import get
from waiting import until

NAMES = ("one", "two")
TEMPLATE = {
    "parameters": {"port": {"type": "integer", "per_node": True}, "answer": {"type": "string"}},
    "objects": [
        {
            "kind": "listeners",
            "name": "web",
            "spec": {"address": "127.0.0.1:{{ port }}", "default": True},
        },
        {
            "kind": "routes",
            "name": "all",
            "spec": {"respond": {"body": "{{ answer }} on {{ port }}"}},
        },
    ],
}


class Stage:
    """A master and two nodes."""

    def __init__(self, person: Operator, nodes: dict[str, Node]) -> None:
        self.person = person
        self.nodes = nodes
        self.ports = {name: free_port() for name in nodes}

    def agents(self) -> dict[str, str]:
        """The ids of the agents, by the label that tells them apart: they share a host name."""
        found = self.person.ask(f"{W}/agents")["items"]
        return {one["labels"]["node"]: one["id"] for one in found}

    def publish(self, answer: str) -> int:
        """Publishes the virtual host with this answer."""
        agents = self.agents()
        nodes = {agents[name]: {"port": port} for name, port in self.ports.items()}
        body = {"template": "site", "values": {"answer": answer}, "nodes": nodes}
        self.person.ask(f"{W}/virtual-hosts/site", body, "PUT")
        return int(self.person.ask(f"{W}/revisions", {"fleet": "edge"})["number"])

    def until_served(self, number: int) -> None:
        """Waits until both agents proved to serve a revision."""

        def is_served() -> bool:
            found = self.person.ask(f"{W}/agents")["items"]
            return [one["revisions"]["serving"] for one in found] == [number] * len(NAMES)

        until(is_served, f"revision {number} serves at both nodes")


@pytest.fixture
def stage(folder: Path) -> Iterator[Stage]:
    (folder / "m").mkdir()
    with ExitStack() as ends:
        running = ends.enter_context(master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls"))
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        person.ask(f"{W}/templates/site", TEMPLATE, "PUT")
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()
        url = f"grpcs://127.0.0.1:{grpc}?rest={rest}"
        nodes = {}
        for name in NAMES:
            (folder / name).mkdir()
            wanted = {"fleet": "edge", "labels": {"node": name}}
            token = person.ask(f"{W}/join-tokens", wanted)["token"]
            nodes[name] = ends.enter_context(Node(folder / name, url, token))
        found = Stage(person, nodes)
        until(lambda: len(found.agents()) == len(NAMES), "both nodes have enrolled")
        yield found


@pytest.mark.timeout(300)
def test_each_node_serves_its_own_values_of_one_revision(stage: Stage) -> None:
    for answer in ("first", "second"):
        stage.until_served(stage.publish(answer))
        for port in stage.ports.values():
            assert get(port) == (200, f"{answer} on {port}".encode())
    agents = stage.person.ask(f"{W}/agents")["items"]
    assert len({one["effective_hash"] for one in agents}) == len(NAMES)
    one, port = stage.nodes["one"], stage.ports["one"]
    explained = one.command("explain", f"http://127.0.0.1:{port}/")
    assert explained.returncode == 0, explained.stdout + explained.stderr
    assert "routes.all" in explained.stdout or "route all" in explained.stdout, explained.stdout
