"""A data plane that has no room for the sockets of an address."""

import pytest
from supervisor_node import WEB, Node, replies, sent, spawned

from headgate.supervisor import commands as cmd
from headgate.supervisor import events as ev
from headgate.supervisor.state import SOCKETS_S


@pytest.fixture
def node() -> Node:
    found = Node()
    found.serve()
    return found


def test_an_upgrade_that_takes_no_sockets_after_the_old_one_died_starts_another(node: Node) -> None:
    node.ask("upgrade")
    assert spawned(node.handle(ev.DataPlaneExited(1, -9))) == []
    node.plane_says(2, "ready", pid=12)
    commands = node.plane_says(2, "sockets_failed", address=WEB, error="no descriptors")
    assert spawned(commands) == [3]
    assert spawned(node.handle(ev.DataPlaneExited(2, -9))) == []
    assert cmd.SendSockets(3, WEB) in node.plane_says(3, "ready", pid=13)


def test_an_upgrade_that_takes_no_sockets_leaves_the_one_that_serves_alone(node: Node) -> None:
    node.ask("upgrade")
    node.plane_says(2, "ready", pid=12)
    assert spawned(node.plane_says(2, "sockets_failed", address=WEB, error="no")) == []


def test_a_restart_that_waits_is_not_made_beside_another(node: Node) -> None:
    node.handle(ev.DataPlaneExited(1, -9))
    node.handle(ev.DataPlaneExited(2, 1))
    wait = node.machine.state.timers["dataplane"] - node.now
    assert spawned(node.ask("upgrade")) == [3]
    node.plane_says(3, "ready", pid=12)
    assert spawned(node.plane_says(3, "sockets_failed", address=WEB, error="no")) == [4]
    node.now += wait
    assert spawned(node.handle(ev.Tick())) == []


def test_a_restart_that_waits_is_not_made_once_an_upgrade_serves(node: Node) -> None:
    node.handle(ev.DataPlaneExited(1, -9))
    node.handle(ev.DataPlaneExited(2, 1))
    wait = node.machine.state.timers["dataplane"] - node.now
    node.ask("upgrade")
    node.plane_says(3, "ready", pid=12)
    node.plane_says(3, "sockets_ok", address=WEB)
    node.now += wait
    assert spawned(node.handle(ev.Tick())) == []
    assert replies(node.ask("status"))[0]["dataplane"]["generation"] == 3  # type: ignore[index]


def test_a_restarted_data_plane_gets_the_sockets_again_that_it_had_no_room_for(node: Node) -> None:
    node.handle(ev.DataPlaneExited(1, -9))
    node.plane_says(2, "ready", pid=12)
    node.plane_says(2, "sockets_failed", address=WEB, error="no descriptors")
    assert cmd.SendSockets(2, WEB) in node.after(SOCKETS_S)
    node.plane_says(2, "sockets_failed", address=WEB, error="no descriptors")
    assert cmd.SendSockets(2, WEB) in node.after(SOCKETS_S)
    node.plane_says(2, "sockets_ok", address=WEB)
    node.now += SOCKETS_S
    assert not any(isinstance(c, cmd.SendSockets) for c in node.handle(ev.Tick()))


def test_an_address_that_is_closed_meanwhile_is_not_sent_again(node: Node) -> None:
    node.handle(ev.DataPlaneExited(1, -9))
    node.plane_says(2, "ready", pid=12)
    node.plane_says(2, "sockets_failed", address=WEB, error="no descriptors")
    assert sent(node.ask("release", addresses=[WEB]), 2) == ["close"]
    node.now += SOCKETS_S
    assert cmd.SendSockets(2, WEB) not in node.handle(ev.Tick())
    node.plane_says(2, "closed", address=WEB)
    node.now += SOCKETS_S
    assert cmd.SendSockets(2, WEB) not in node.handle(ev.Tick())


def test_an_address_that_was_opened_anew_meanwhile_is_sent_once(node: Node) -> None:
    node.handle(ev.DataPlaneExited(1, -9))
    node.plane_says(2, "ready", pid=12)
    node.ask("release", addresses=[WEB])
    node.plane_says(2, "sockets_failed", address=WEB, error="no descriptors")
    node.plane_says(2, "closed", address=WEB)
    assert cmd.SendSockets(2, WEB) in node.ask("listen", addresses=[WEB])
    node.plane_says(2, "sockets_ok", address=WEB)
    node.now += SOCKETS_S
    assert cmd.SendSockets(2, WEB) not in node.handle(ev.Tick())


def test_a_data_plane_that_came_up_since_has_the_sockets_already(node: Node) -> None:
    node.handle(ev.DataPlaneExited(1, -9))
    node.plane_says(2, "ready", pid=12)
    node.plane_says(2, "sockets_failed", address=WEB, error="no descriptors")
    node.handle(ev.DataPlaneExited(2, -9))
    assert cmd.SendSockets(3, WEB) in node.plane_says(3, "ready", pid=13)
    node.now += SOCKETS_S
    assert not any(isinstance(c, cmd.SendSockets) for c in node.handle(ev.Tick()))


def test_nothing_is_sent_again_by_a_node_that_leaves(node: Node) -> None:
    node.handle(ev.SignalCame("TERM"))
    node.plane_says(1, "sockets_failed", address=WEB, error="this process is leaving")
    assert "sockets" not in node.machine.state.timers


def test_an_address_that_nobody_asked_for_is_not_sent(node: Node) -> None:
    node.plane_says(1, "sockets_failed", address="127.0.0.1:9", error="no descriptors")
    assert "sockets" not in node.machine.state.timers
