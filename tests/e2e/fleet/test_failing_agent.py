"""A real agent whose control process dies at each start says so before it dies again."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import master
from running_node import Upstream, get
from waiting import until

_DIES = """
import importlib.util, os, sys
class Patch:
    def find_spec(self, name, path=None, target=None):
        if name != "headgate.node.pipeline":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def exec_module(module):
            execute(module)
            first = module.Pipeline.reload
            def reload(pipeline, reason):
                if reason == "start" and os.path.exists({marker!r}):
                    os._exit(7)
                return first(pipeline, reason)
            module.Pipeline.reload = reload
        spec.loader.exec_module = exec_module
        return spec
if "headgate.node" in sys.orig_argv:
    sys.meta_path.insert(0, Patch())
"""
"""Ends the control process where it begins its first run, once there is a file."""


@pytest.mark.timeout(300)
def test_an_agent_that_dies_at_each_start_is_failing_and_its_traffic_flows(
    folder: Path, port: int, one: Upstream
) -> None:
    marker = folder / "dies"
    patched = folder / "patched"
    patched.mkdir()
    (patched / "sitecustomize.py").write_text(_DIES.format(marker=str(marker)))
    (folder / "m").mkdir()
    with master(folder / "m", "--listen", "127.0.0.1:0", "--fleet-tls") as running:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        rest, grpc = person.base.rpartition(":")[2], running.agents_port()
        with PatchedNode(folder, f"grpcs://127.0.0.1:{grpc}?rest={rest}", token, patched) as node:
            put(person, port, one.address)
            first = person.ask(f"{W}/revisions", {"fleet": "edge"})["number"]
            until(lambda: serving(person) == first, "the first revision is serving")
            assert state(person) == "connected"
            marker.touch()
            os.kill(_control(node), signal.SIGKILL)
            until(lambda: state(person) == "failing", "an agent that fails", deadline_s=120)
            assert person.agent()["failing"]["starts"] >= 3
            assert get(port) == (200, b"one")
            marker.unlink()
            until(lambda: node.admin_status("/live") == 200, "it starts again", deadline_s=60)
            until(lambda: serving(person) == first, "the revision is serving again", deadline_s=60)
            # Ended in order, it counts anew.
            assert node.command("upgrade").returncode == 0
            until(lambda: state(person) == "connected", "it has mended", deadline_s=60)
            assert get(port) == (200, b"one")


class PatchedNode(Node):
    """A node whose Python reads a folder first."""

    def __init__(self, folder: Path, url: str, token: str, patched: Path) -> None:
        self._patched = patched
        super().__init__(folder, url, token)

    def _start(self, command: list[str], *arguments: str, **env: str) -> Any:
        return super()._start(command, *arguments, **env, PYTHONPATH=str(self._patched))


def state(person: Operator) -> str:
    return str(person.agent().get("state"))


def _control(node: Node) -> int:
    return int(node.status()["control"]["pid"])  # type: ignore[index]
