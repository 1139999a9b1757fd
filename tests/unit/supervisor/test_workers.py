"""How many workers the data planes of a supervisor have."""

import pytest
from supervisor_node import Node, spawned

from headgate.supervisor import commands as cmd
from headgate.supervisor import events as ev
from headgate.supervisor.machine import Machine


@pytest.fixture
def node() -> Node:
    return Node()


def started_with(commands: list[cmd.Command]) -> list[object]:
    """Returns the number of workers of each data plane that is started."""
    sends = [c.message for c in commands if isinstance(c, cmd.Send)]
    return [message["workers"] for message in sends if message["op"] == "start"]


def test_there_are_no_more_workers_than_a_packet_has_sockets_for(node: Node) -> None:
    node.machine = Machine(node.machine.state.settings, bytes(32), 1024)
    assert started_with(node.handle(ev.Begin())) == [128]
    assert cmd.WidenSockets(128) in node.plane_says(1, "ready", pid=11)
    assert spawned(node.ask("workers", count=1024)) == []
