"""A control process that is to be replaced and hangs."""

import signal

import pytest
from supervisor_node import Node

from headgate.supervisor import commands as cmd
from headgate.supervisor import events as ev
from headgate.supervisor.state import CONTROL_GRACE_S

KILL = cmd.SignalControl(signal.SIGKILL)
TERM = cmd.SignalControl(signal.SIGTERM)


@pytest.fixture
def node() -> Node:
    found = Node()
    found.serve()
    found.ask("upgrade")
    found.plane_says(2, "ready", pid=12)
    assert TERM in found.plane_says(2, "sockets_ok", address="127.0.0.1:8000")
    return found


def test_it_is_killed_and_the_next_one_started(node: Node) -> None:
    assert KILL in node.after(CONTROL_GRACE_S)
    assert cmd.SpawnControl() in node.handle(ev.ControlExited(-9))


def test_one_that_ends_in_time_has_a_successor_that_is_left_alone(node: Node) -> None:
    assert cmd.SpawnControl() in node.handle(ev.ControlExited(0))
    node.now += CONTROL_GRACE_S
    assert KILL not in node.handle(ev.Tick())


def test_a_node_that_leaves_gives_it_its_time_once_more(node: Node) -> None:
    node.handle(ev.SignalCame("TERM"))
    node.handle(ev.DataPlaneExited(1, 0))
    assert TERM in node.handle(ev.DataPlaneExited(2, 0))
    assert KILL in node.after(CONTROL_GRACE_S)


def test_one_that_is_to_be_replaced_once_more_has_no_more_time(node: Node) -> None:
    node.now += 1
    node.ask("upgrade")
    node.plane_says(3, "ready", pid=13)
    assert TERM in node.plane_says(3, "sockets_ok", address="127.0.0.1:8000")
    assert KILL in node.after(CONTROL_GRACE_S - 1)
