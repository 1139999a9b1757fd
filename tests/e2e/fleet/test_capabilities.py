"""What a real nginx cannot do is known to its master before anything is published."""

from pathlib import Path
from typing import Any

import pytest
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import master
from peers import peer
from running_node import Upstream, get
from waiting import until

SLOW = {"upstream": "app", "timeouts": {"request": "5s"}}
"""What no nginx can do."""


def known(person: Operator) -> dict[str, Any]:
    """What the only agent said of its nginx, once it has asked it; else empty."""
    engines = person.agent().get("facts", {}).get("engines", [])
    return next((dict(one) for one in engines if one["capabilities"]), {})


@pytest.mark.timeout(400)
def test_an_agent_says_what_its_nginx_accepts_and_a_preview_what_it_refuses(
    folder: Path, port: int, one: Upstream
) -> None:
    peer("nginx")
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge", "engine": "nginx"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()
        with Node(folder, f"grpcs://127.0.0.1:{grpc}?rest={rest}", token, "nginx"):
            until(lambda: bool(known(person)), "the agent has asked its nginx", deadline_s=120)
            engine = known(person)
            assert engine["engine"] == "nginx"
            assert engine["version"].startswith("nginx/")
            assert {"gzip", "mode=full", "endpoints=reload"} <= set(engine["capabilities"])
            put(person, port, one.address)
            changes = [{"kind": "routes", "name": "all", "spec": SLOW}]
            (fleet,) = person.ask(f"{W}/preview", {"changes": changes})["fleets"]
            (effect,) = fleet["engines"]
            assert (effect["engine"], effect["agents"], effect["is_known"]) == ("nginx", 1, True)
            assert [(one["object"], one["path"]) for one in effect["refuses"]] == [
                ("routes/all.json", "$.timeouts.request")
            ]
            (fine,) = person.ask(f"{W}/preview", {})["fleets"]
            assert [one["refuses"] for one in fine["engines"]] == [[]]
            made = person.ask(f"{W}/revisions", {"fleet": "edge"})
            until(lambda: serving(person) == made["number"], "it is serving", deadline_s=120)
            assert get(port)[1] == b"one"
        assert running.stop() == 0
