"""Objects that only an engine refuses: they alone are quarantined, and the master hears why."""

import socket
from pathlib import Path

import pytest
from agent_master import AgentMaster, RunningAgent
from ports import free_port
from running_node import Upstream, get
from told import until_status_says
from waiting import until

from headgate.fleet.frames import Fault, Phase
from headgate.fleet.manifest import Json

Specs = dict[tuple[str, str], Json]
TOO_OFTEN: Json = {"rewrite": {"regex": "/(?:){70000}(.*)", "with": "/$1"}}
"""Fine for our matcher; PCRE counts to 65535 only."""
TOO_MANY: Json = [f"127.0.0.1:{port}" for port in range(1, 40_000)]
"""More than the control link takes in one message."""


def config(port: int, upstream: str) -> Specs:
    """One route for all requests, one for those below /new."""
    return {
        ("listeners", "web"): {"address": f"127.0.0.1:{port}", "default": True},
        ("upstreams", "app"): {"endpoints": [upstream]},
        ("routes", "all"): {"upstream": "app"},
        ("routes", "new"): {"match": {"path": {"prefix": "/new"}}, "upstream": "app"},
    }


def fault_of(master: AgentMaster, revision: int, phase: Phase) -> Fault:
    """What the only agent says of this phase of a revision."""
    agent = master.until(revision, phase)
    assert agent.report is not None
    assert agent.report.fault is not None
    return agent.report.fault


def test_what_nginx_refuses_of_a_revision_is_quarantined_alone(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    good = config(port, one.address)
    with (
        AgentMaster() as master,
        RunningAgent(folder, master, master.token(), "--engine", "nginx") as node,
    ):
        master.until(master.publish(good), Phase.SERVING)
        mixed = config(port, two.address)
        new = mixed["routes", "new"]
        mixed["routes", "new"] = {**new, "middlewares": [TOO_OFTEN]}
        mixed["routes", "other"] = {
            "match": {"path": {"prefix": "/other"}},
            "middlewares": [{"rewrite": {"regex": "/o(?:){70001}(.*)", "with": "/$1"}}],
            "upstream": "app",
        }
        fault = fault_of(master, master.publish(mixed), Phase.SERVING)
        assert fault.code == "quarantined"
        assert fault.text.startswith("serving with 2 quarantined: routes/new.json:1")
        assert (fault.object, fault.file, fault.line) == ("routes/new", "routes/new.json", 1)
        assert "number too big" in fault.text
        agent = master.agent()
        assert agent.report is not None
        reasons = [text for text in agent.report.warnings if "number too big" in text]
        assert [text.partition(":")[0] for text in reasons] == [
            "routes/new.json",
            "routes/other.json",
        ]
        until(lambda: get(port) == (200, b"two"), "the rest of the revision serves")
        assert get(port, "/new")[0] == 503
        assert get(port, "/other")[0] == 503
        until_status_says(node, "quarantined route new: requests for it get 503")
        master.until(master.publish(good), Phase.SERVING)
        until(lambda: get(port, "/new") == (200, b"one"), "it is served again")


def test_a_place_that_nginx_cannot_match_is_nowhere_safe_so_the_revision_is_refused(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    with (
        AgentMaster() as master,
        RunningAgent(folder, master, master.token(), "--engine", "nginx") as node,
    ):
        first = master.publish(config(port, one.address))
        master.until(first, Phase.SERVING)
        wrong = config(port, two.address)
        wrong["routes", "new"] = {"match": {"path": {"regex": "/(?:){70000}"}}, "upstream": "app"}
        fault = fault_of(master, master.publish(wrong), Phase.REJECTED)
        assert fault.object == "routes/new"
        assert "number too big" in fault.text
        assert get(port) == (200, b"one")
        assert get(port, "/new") == (200, b"one")
        assert node.revision() == first


def test_what_the_native_engine_refuses_of_a_revision_is_quarantined_alone(
    folder: Path, port: int, one: Upstream, two: Upstream
) -> None:
    good = config(port, one.address)
    good["upstreams", "new"] = {"endpoints": [one.address]}
    good["routes", "new"] = {"match": {"path": {"prefix": "/new"}}, "upstream": "new"}
    with AgentMaster() as master, RunningAgent(folder, master, master.token()):
        master.until(master.publish(good), Phase.SERVING)
        mixed = {**good, **{("upstreams", "app"): {"endpoints": [two.address]}}}
        mixed["upstreams", "new"] = {"endpoints": TOO_MANY}
        fault = fault_of(master, master.publish(mixed), Phase.SERVING)
        assert fault.code == "quarantined"
        assert fault.object == "upstreams/new"
        until(lambda: get(port) == (200, b"two"), "the rest of the revision serves")
        assert get(port, "/new") == (200, b"one"), "its last good form serves on"


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_listener_whose_port_is_held_is_absent_until_the_port_is_free(
    folder: Path, port: int, one: Upstream, two: Upstream, engine: str
) -> None:
    with (
        AgentMaster() as master,
        RunningAgent(folder, master, master.token(), "--engine", engine),
    ):
        good = config(port, one.address)
        master.until(master.publish(good), Phase.SERVING)
        held = free_port()
        with socket.create_server(("127.0.0.1", held)):
            more = config(port, two.address)
            more["listeners", "more"] = {"address": f"127.0.0.1:{held}", "default": True}
            revision = master.publish(more)
            fault = fault_of(master, revision, Phase.SERVING)
            assert fault.object == "listeners/more"
            until(lambda: get(port) == (200, b"two"), "the rest of the revision serves")
        until(lambda: _answers(held) == (200, b"two"), "the port is free and served")

        def is_told() -> bool:
            report = master.agent().report
            return report is not None and report.fault is None

        until(is_told, "the master hears that all of it serves")


@pytest.mark.parametrize("engine", ["native", "nginx"])
def test_a_listener_on_an_address_of_another_host_is_absent_alone(
    folder: Path, port: int, one: Upstream, two: Upstream, engine: str
) -> None:
    with (
        AgentMaster() as master,
        RunningAgent(folder, master, master.token(), "--engine", engine),
    ):
        master.until(master.publish(config(port, one.address)), Phase.SERVING)
        more = config(port, two.address)
        more["listeners", "more"] = {"address": f"192.0.2.1:{free_port()}", "default": True}
        fault = fault_of(master, master.publish(more), Phase.SERVING)
        assert fault.object == "listeners/more"
        until(lambda: get(port) == (200, b"two"), "the rest of the revision serves")


def _answers(port: int) -> tuple[int, bytes] | None:
    try:
        return get(port)
    except OSError:
        return None
