"""A master and an agent as processes: from a join token to a config that serves, and revocation."""

from pathlib import Path

import pytest
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import master
from running_node import Upstream, get
from waiting import until


@pytest.mark.parametrize("scheme", ["grpcs", "wss"])
def test_what_is_published_serves_and_a_revoked_agent_is_cut_off(
    folder: Path, port: int, one: Upstream, two: Upstream, scheme: str
) -> None:
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        assert ".sha256:" in token
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()
        urls = {
            "grpcs": f"grpcs://127.0.0.1:{grpc}?rest={rest}",
            "wss": f"wss://127.0.0.1:{rest}",
        }
        with Node(folder, urls[scheme], token) as node:
            until(lambda: person.agent().get("state") == "connected", "a connected agent")
            put(person, port, one.address)
            made = person.ask(f"{W}/revisions", {"fleet": "edge"})
            until(lambda: person.agent()["revisions"]["serving"] == made["number"], "it is serving")
            assert get(port)[1] == b"one"
            shown = person.agent()
            assert (shown["phase"], shown["error"]) == ("serving", None)
            person.ask(f"{W}/agents/{shown['id']}/revocation", {}, "POST")
            until(lambda: node.metric("headgate_master_connected") == 0, "the stream is cut")
            # What it serves stays; what is published from now on does not reach it.
            put(person, port, two.address)
            assert person.ask(f"{W}/revisions", {"fleet": "edge"})["number"] == 2
            shown = person.agent()
            assert (shown["state"], shown["revisions"]["serving"]) == ("revoked", 1)
            assert get(port)[1] == b"one"
        assert running.stop() == 0


def test_a_rollout_goes_on_by_what_the_nodes_themselves_measure(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()
        with Node(folder, f"grpcs://127.0.0.1:{grpc}?rest={rest}", token):
            put(person, port, one.address)
            first = person.ask(f"{W}/revisions", {"fleet": "edge"})["number"]
            until(lambda: serving(person) == first, "the first revision is serving")
            put(person, port, two.address)
            made = {"fleet": "edge", "is_served": False}
            second = person.ask(f"{W}/revisions", made)["number"]
            wanted = {"fleet": "edge", "revision": second, "waves": ["rest"], "soak_s": 1}
            rollout = person.ask(f"{W}/rollouts", {**wanted, "gates": {"min_requests": 0}})
            path = f"{W}/rollouts/{rollout['id']}"
            until(lambda: person.ask(path)["status"] == "succeeded", "the rollout has succeeded")
            assert serving(person) == second
            assert get(port)[1] == b"two"
            detail = person.ask(path)
            assert 0.0 <= detail["serving_p50_s"] <= detail["serving_p99_s"] < 60.0
