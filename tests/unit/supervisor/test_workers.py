"""How many workers the data planes of a supervisor have."""

import pytest
from supervisor_node import WEB, Node, replies, spawned

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


def test_a_number_that_comes_during_an_upgrade_is_not_lost(node: Node) -> None:
    node.serve()
    assert spawned(node.ask("upgrade")) == [2]
    assert spawned(node.ask("workers", count=3)) == []
    assert spawned(node.ask("workers", count=3)) == []
    node.plane_says(2, "ready", pid=12)
    commands = node.plane_says(2, "sockets_ok", address=WEB)
    assert spawned(commands) == [3]
    assert started_with(commands) == [3]
    node.plane_says(3, "ready", pid=13)
    assert spawned(node.plane_says(3, "sockets_ok", address=WEB)) == []


def test_an_upgrade_joins_the_change_of_the_number_that_is_under_way(node: Node) -> None:
    node.serve()
    assert spawned(node.ask("workers", count=3)) == [2]
    node.ask("upgrade")
    node.plane_says(2, "ready", pid=12)
    commands = node.plane_says(2, "sockets_ok", address=WEB)
    assert spawned(commands) == []
    assert replies(commands)[-1]["ok"] is True


def test_a_number_whose_data_plane_did_not_come_up_is_tried_when_it_is_asked_for_again(
    node: Node,
) -> None:
    node.serve()
    assert spawned(node.ask("workers", count=3)) == [2]
    assert spawned(node.handle(ev.DataPlaneExited(2, 1))) == []
    assert started_with(node.ask("workers", count=3)) == [3]


def test_the_number_that_a_data_plane_will_have_needs_no_other_one(node: Node) -> None:
    node.serve()
    node.handle(ev.DataPlaneExited(1, -9))
    node.handle(ev.DataPlaneExited(2, 1))
    assert spawned(node.ask("workers", count=2)) == []
