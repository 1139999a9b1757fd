"""A fleet's authority and its master's key are rotated under a master and an agent that run."""

from pathlib import Path
from typing import Any

import pytest
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import master
from running_node import Load, Upstream, get
from waiting import until


@pytest.mark.timeout(600)
@pytest.mark.parametrize("carrier", ["grpc", "websocket"])
def test_agents_follow_a_rotation_and_a_revoked_certificate_is_cut_off(
    folder: Path, port: int, one: Upstream, two: Upstream, carrier: str
) -> None:
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()

        def status() -> Any:
            return person.ask("/api/v1/master/authority")

        def step(name: str) -> None:
            until(lambda: status()["next"] == name, f"agents are ready to {name}", deadline_s=120)
            person.ask("/api/v1/master/authority/rotation", {"step": name})

        websocket = f"wss://127.0.0.1:{rest}"
        url = websocket if carrier == "websocket" else f"grpcs://127.0.0.1:{grpc}?rest={rest}"
        with Node(folder, url, token) as node:
            put(person, port, one.address)
            person.ask(f"{W}/revisions", {"fleet": "edge"})
            until(lambda: serving(person) == 1, "the first revision is serving", deadline_s=120)
            first = status()["authorities"][0]["pin"]
            with Load(port, connections=2) as load:
                for name in ("announce", "switch", "finish"):
                    step(name)
            assert (load.failures, set(load.answers)) == ([], {b"one"})
            (only,) = status()["authorities"]
            assert only["pin"] != first
            assert person.ask("/api/v1/master/key/rotation", {}, "POST")["is_rotated"]

            put(person, port, two.address)
            person.ask(f"{W}/revisions", {"fleet": "edge"})
            until(lambda: serving(person) == 2, "the second revision is serving", deadline_s=120)
            assert get(port)[1] == b"two"
            agent = person.agent()
            serial = agent["certificate_serial"]
            path = f"{W}/agents/{agent['id']}/certificates/{serial}/revocation"
            person.ask(path, {}, "POST")
            until(lambda: node.metric("headgate_master_connected") == 0, "the stream is cut")
            assert get(port)[1] == b"two"
        assert running.stop() == 0
