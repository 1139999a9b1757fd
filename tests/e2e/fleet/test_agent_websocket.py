"""A real agent where gRPC cannot pass: its session goes over WebSocket."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from agent_master import RunningAgent
from ports import dead_port
from running_node import Upstream, get
from waiting import DEADLINE_S, until

from headgate.fleet.join_token import JoinToken

HEADGATE = str(Path(sys.executable).with_name("headgate"))


@dataclass
class Told:
    """What a fake master said when it was ready."""

    rest: str
    token: str


@dataclass
class Place:
    """Where an agent finds its master."""

    url: str


@contextmanager
def fake_master(config: Path) -> Iterator[Told]:
    command = [HEADGATE, "dev", "fake-master", str(config), "--rest-port=0", "--grpc-port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            said = json.loads(process.stdout.readline())
            yield Told(said["rest"], JoinToken(said["token"], said["pin"]).text())
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_S) == 0


def serves(port: int) -> bool:
    try:
        return get(port) == (200, b"one")
    except OSError:
        return False


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_an_agent_is_served_over_websocket(
    folder: Path, port: int, one: Upstream, scheme: str
) -> None:
    config = folder / "fleet"
    config.mkdir()
    document = {
        "listeners": {"web": {"address": f"127.0.0.1:{port}", "default": True}},
        "routes": {"all": {"upstream": "app"}},
        "upstreams": {"app": {"endpoints": [one.address]}},
    }
    (config / "a.json").write_text(json.dumps(document))
    with dead_port() as grpc, fake_master(config) as master:
        place = Place(f"{scheme}://{master.rest}?grpc={grpc}")
        with RunningAgent(folder, place, master.token) as node:
            until(lambda: serves(port), "the revision")
            until(lambda: node.revision() == 1, "the report of it")
            until(node.is_connected, "the session")
