"""The supervisor's decisions, with a clock of our own and no process or socket."""

import signal

import pytest
from supervisor_node import CONTROL, WEB, Node, replies, sent, spawned, without_logs

from headgate.supervisor import commands as cmd
from headgate.supervisor import events as ev
from headgate.supervisor.state import EXIT_CONFIG, JOB_S, QUIT_GRACE_S, UPGRADE_S
from headgate.supervisor.tickets import PERIOD_S


@pytest.fixture
def node() -> Node:
    return Node()


def test_both_children_are_started_and_the_data_plane_is_told_what_it_is(node: Node) -> None:
    commands = node.handle(ev.Begin())
    assert spawned(commands) == [1]
    assert cmd.SpawnControl() in commands
    start = next(c.message for c in commands if isinstance(c, cmd.Send))
    assert start == {
        "op": "start",
        "generation": 1,
        "state_dir": "/state",
        "grpc_socket": "/state/dp-1.sock",
        "workers": 2,
        "cpus": [0, 1],
        "awaits_flows": False,
        "ticket_secrets": ["00" * 32],
        "ticket_epoch": 0,
    }


def test_listen_is_answered_only_when_the_data_plane_has_the_sockets(node: Node) -> None:
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11)
    commands = node.ask("listen", addresses=[WEB], backlog=64)
    assert without_logs(commands) == [cmd.OpenSockets((WEB,), 64), cmd.SendSockets(1, WEB)]
    assert replies(node.plane_says(1, "sockets_ok", address=WEB)) == [{"id": 1, "ok": True}]


def test_listen_on_a_busy_port_names_the_holder_and_opens_nothing(node: Node) -> None:
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11)
    node.busy[WEB] = "nginx (pid 5)"
    commands = node.ask("listen", addresses=[WEB, "127.0.0.1:8001"], backlog=64)
    (answer,) = replies(commands)
    assert answer["errors"] == [
        {"address": WEB, "error": "address already in use", "holder": "nginx (pid 5)"}
    ]
    assert not any(isinstance(c, cmd.SendSockets) for c in commands)
    assert replies(node.ask("status"))[0]["listening"] == []


def test_listen_waits_for_a_data_plane_that_is_not_ready(node: Node) -> None:
    node.handle(ev.Begin())
    assert replies(node.ask("listen", addresses=[WEB])) == []
    assert cmd.SendSockets(1, WEB) in node.plane_says(1, "ready", pid=11)
    assert replies(node.plane_says(1, "sockets_ok", address=WEB)) == [{"id": 1, "ok": True}]


def test_listen_on_what_is_open_already_succeeds_at_once(node: Node) -> None:
    node.serve()
    assert replies(node.ask("listen", addresses=[WEB])) == [{"id": 1, "ok": True}]


def test_our_copies_are_closed_after_the_data_plane_let_go(node: Node) -> None:
    node.serve()
    commands = node.ask("release", addresses=[WEB, "127.0.0.1:9"])
    assert sent(commands, 1) == ["close"]
    assert without_logs(commands)[0] == cmd.RefuseNew(WEB)
    assert cmd.CloseSockets(WEB) not in commands
    commands = node.plane_says(1, "closed", address=WEB)
    assert without_logs(commands) == [
        cmd.CloseSockets(WEB),
        cmd.Remember({}),
        cmd.Reply(CONTROL, {"id": 1, "ok": True}),
    ]


def test_changes_are_made_one_after_the_other(node: Node) -> None:
    node.serve()
    node.ask("release", addresses=[WEB])
    assert without_logs(node.ask("listen", addresses=[WEB])) == []
    commands = node.plane_says(1, "closed", address=WEB)
    assert cmd.OpenSockets((WEB,), 4096) in commands


def test_a_dead_data_plane_is_replaced_at_once_with_its_sockets_and_counted(node: Node) -> None:
    node.serve()
    assert spawned(node.handle(ev.DataPlaneExited(1, -signal.SIGKILL))) == [2]
    commands = node.plane_says(2, "ready", pid=12)
    assert cmd.SendSockets(2, WEB) in commands
    event = {"event": "dataplane", "generation": 2, "pid": 12, "grpc_socket": "/state/dp-2.sock"}
    assert event in replies(commands)
    assert replies(node.ask("status"))[0]["restarts"] == {"dataplane": 1, "control": 0}


def test_the_end_of_the_data_plane_that_serves_is_told_and_that_of_another_is_not(
    node: Node,
) -> None:
    node.serve()
    node.ask("upgrade")
    node.plane_says(2, "ready", pid=12)
    node.plane_says(2, "sockets_ok", address=WEB)
    assert replies(node.handle(ev.DataPlaneExited(1, 0))) == []
    event = {"event": "dataplane_lost", "generation": 2, "pid": 12}
    (told,) = replies(node.handle(ev.DataPlaneExited(2, -9)))
    assert told == {**event, "grpc_socket": "/state/dp-2.sock"}
    # The next one ends before it serves.
    assert replies(node.handle(ev.DataPlaneExited(3, 1))) == []


def test_a_data_plane_that_keeps_dying_is_restarted_ever_more_slowly(node: Node) -> None:
    node.serve()
    assert spawned(node.handle(ev.DataPlaneExited(1, 1))) == [2]
    waits = []
    for generation in range(2, 10):
        assert spawned(node.handle(ev.DataPlaneExited(generation, 1))) == []
        wait = node.machine.state.timers["dataplane"] - node.now
        waits.append(round(wait, 3))
        assert spawned(node.after(wait)) == [generation + 1]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_data_plane_that_served_is_replaced_at_once_however_often_it_is_killed(
    node: Node,
) -> None:
    node.serve()
    for generation in range(1, 31):
        assert spawned(node.handle(ev.DataPlaneExited(generation, -9))) == [generation + 1]
        node.plane_says(generation + 1, "ready", pid=11)


def test_a_control_process_that_served_is_replaced_at_once_however_often_it_is_killed(
    node: Node,
) -> None:
    node.serve()
    for _ in range(30):
        node.ask("control_ready")
        commands = node.handle(ev.ControlExited(-9))
        assert any(isinstance(command, cmd.SpawnControl) for command in commands)


def test_a_data_plane_that_never_comes_up_ends_the_node(node: Node) -> None:
    node.handle(ev.Begin())
    node.handle(ev.DataPlaneExited(1, 1))
    node.handle(ev.DataPlaneExited(2, 1))
    node.after(0.2)
    commands = node.handle(ev.DataPlaneExited(3, 1))
    assert cmd.SignalControl(signal.SIGTERM) in commands
    assert cmd.Leave(1) in node.handle(ev.ControlExited(0))


def test_a_release_is_done_when_the_data_plane_dies(node: Node) -> None:
    node.serve()
    node.ask("release", addresses=[WEB])
    commands = node.handle(ev.DataPlaneExited(1, -9))
    assert cmd.CloseSockets(WEB) in commands
    assert {"id": 1, "ok": True} in replies(commands)
    assert cmd.SendSockets(2, WEB) not in node.plane_says(2, "ready", pid=12)


def test_a_listen_survives_the_death_of_the_data_plane(node: Node) -> None:
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11)
    node.ask("listen", addresses=[WEB])
    node.handle(ev.DataPlaneExited(1, -9))
    node.plane_says(2, "ready", pid=12)
    assert replies(node.plane_says(2, "sockets_ok", address=WEB)) == [{"id": 1, "ok": True}]


def test_a_data_plane_that_does_not_take_sockets_is_not_waited_for(node: Node) -> None:
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11)
    node.machine.state.timers.pop("fallback")
    node.ask("listen", addresses=[WEB])
    commands = node.after(JOB_S)
    assert replies(commands)[0]["ok"] is False
    assert cmd.CloseSockets(WEB) in commands
    assert sent(commands, 1) == ["close"]


def test_a_listen_fails_whole_when_one_address_is_not_taken(node: Node) -> None:
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11)
    node.ask("listen", addresses=[WEB, "[::1]:8000"])
    node.plane_says(1, "sockets_ok", address=WEB)
    commands = node.plane_says(1, "sockets_failed", address="[::1]:8000", error="leaving")
    assert replies(commands)[0]["errors"] == [{"address": "[::1]:8000", "error": "leaving"}]
    assert replies(node.ask("status"))[0]["listening"] == []
    assert cmd.CloseSockets(WEB) in commands


def test_an_upgrade_fails_when_the_new_data_plane_does_not_take_the_sockets(node: Node) -> None:
    node.serve()
    node.ask("upgrade")
    node.plane_says(2, "ready", pid=12)
    commands = node.plane_says(2, "sockets_failed", address=WEB, error="leaving")
    assert replies(commands)[0]["ok"] is False
    assert cmd.SignalDataPlane(2, signal.SIGKILL) in commands
    assert sent(commands, 1) == []


@pytest.mark.parametrize("says", ["lost_plan", "is_empty"])
def test_an_upgrade_fails_when_the_new_data_plane_has_not_got_the_last_good_plan(
    node: Node, says: str
) -> None:
    node.serve()
    node.ask("upgrade")
    commands = node.plane_says(2, "ready", pid=12, **{says: True})
    assert "the last good plan" in str(replies(commands)[0]["error"])
    assert cmd.SignalDataPlane(2, signal.SIGKILL) in commands
    assert cmd.SendSockets(2, WEB) not in commands
    assert sent(commands, 1) == []


def test_without_listeners_there_is_no_plan_to_lose(node: Node) -> None:
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11, is_empty=True)
    node.ask("upgrade")
    commands = node.plane_says(2, "ready", pid=12, is_empty=True)
    assert sent(commands, 1) == ["handoff"]


def test_a_data_plane_without_a_plan_may_be_replaced_by_another_one(node: Node) -> None:
    node.serve()
    node.handle(ev.DataPlaneExited(1, 1))
    assert cmd.SendSockets(2, WEB) in node.plane_says(2, "ready", pid=12, lost_plan=True)
    node.ask("upgrade")
    assert cmd.SendSockets(3, WEB) in node.plane_says(3, "ready", pid=13, lost_plan=True)


def test_upgrade_hands_the_sockets_over_before_the_old_one_leaves(node: Node) -> None:
    node.serve()
    commands = node.ask("upgrade")
    assert spawned(commands) == [2]
    commands = node.plane_says(2, "ready", pid=12)
    assert without_logs(commands) == [cmd.WidenSockets(2), cmd.SendSockets(2, WEB)]
    commands = node.plane_says(2, "sockets_ok", address=WEB)
    assert sent(commands, 1) == ["handoff"]
    answer = replies(commands)[-1]
    assert answer["ok"] is True
    assert commands[-1] == cmd.SignalControl(signal.SIGTERM)  # after the answer
    assert spawned(node.handle(ev.DataPlaneExited(1, 0))) == []
    assert cmd.SpawnControl() in node.handle(ev.ControlExited(0))
    assert replies(node.ask("status"))[0]["restarts"] == {"dataplane": 0, "control": 0}


def test_flows_are_handed_over_between_data_planes_that_can(node: Node) -> None:
    first = node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11, moves_flows=True)
    node.ask("listen", addresses=[WEB])
    node.plane_says(1, "sockets_ok", address=WEB)
    second = node.ask("upgrade")
    starts = [c.message for c in first + second if isinstance(c, cmd.Send)]
    assert [start["awaits_flows"] for start in starts] == [False, True]
    node.plane_says(2, "ready", pid=12, moves_flows=True)
    commands = node.plane_says(2, "sockets_ok", address=WEB)
    assert cmd.HandOver(1, 2) in commands
    assert sent(commands, 1) == sent(commands, 2) == []


def test_a_successor_reads_at_once_where_no_flows_come(node: Node) -> None:
    node.serve()  # by a data plane of before
    node.ask("upgrade")
    node.plane_says(2, "ready", pid=12, moves_flows=True)
    commands = node.plane_says(2, "sockets_ok", address=WEB)
    assert (sent(commands, 1), sent(commands, 2)) == (["handoff"], ["take_flows"])
    node.ask("upgrade")
    node.handle(ev.DataPlaneExited(2, -9))
    node.plane_says(3, "ready", pid=13, moves_flows=True)
    commands = node.plane_says(3, "sockets_ok", address=WEB)
    assert sent(commands, 3) == ["take_flows"]


def test_another_number_of_workers_is_another_data_plane(node: Node) -> None:
    node.serve()
    assert spawned(node.ask("workers", count=2)) == []
    commands = node.ask("workers", count=3)
    assert spawned(commands) == [2]
    start = next(c.message for c in commands if isinstance(c, cmd.Send))
    assert start["workers"] == 3
    assert cmd.WidenSockets(3) in node.plane_says(2, "ready", pid=12)
    commands = node.plane_says(2, "sockets_ok", address=WEB)
    assert sent(commands, 1) == ["handoff"]
    assert not any(isinstance(c, cmd.SignalControl) for c in commands)
    assert spawned(node.ask("workers", count=None)) == [3]


def test_two_upgrades_at_once_are_one(node: Node) -> None:
    node.serve()
    assert spawned(node.ask("upgrade")) == [2]
    assert spawned(node.ask("upgrade")) == []
    node.plane_says(2, "ready", pid=12)
    commands = node.plane_says(2, "sockets_ok", address=WEB)
    assert [m["ok"] for m in replies(commands) if "ok" in m] == [True, True]


def test_an_upgrade_whose_data_plane_dies_leaves_the_old_one_serving(node: Node) -> None:
    node.serve()
    node.ask("upgrade")
    commands = node.handle(ev.DataPlaneExited(2, 1))
    assert replies(commands)[0]["ok"] is False
    assert sent(commands, 1) == []
    assert replies(node.ask("status"))[0]["dataplane"]["generation"] == 1  # type: ignore[index]


def test_an_upgrade_that_hangs_is_given_up(node: Node) -> None:
    node.serve()
    node.ask("upgrade")
    assert replies(node.after(JOB_S)) == []
    commands = node.after(UPGRADE_S - JOB_S)
    assert cmd.SignalDataPlane(2, signal.SIGKILL) in commands
    assert replies(commands)[0]["ok"] is False
    assert spawned(node.handle(ev.DataPlaneExited(2, -9))) == []


def test_the_old_data_plane_may_die_during_an_upgrade(node: Node) -> None:
    node.serve()
    node.ask("upgrade")
    assert spawned(node.handle(ev.DataPlaneExited(1, -9))) == []
    node.plane_says(2, "ready", pid=12)
    commands = node.plane_says(2, "sockets_ok", address=WEB)
    assert replies(commands)[-1]["ok"] is True


def test_both_may_die_during_an_upgrade(node: Node) -> None:
    node.serve()
    node.ask("upgrade")
    node.handle(ev.DataPlaneExited(1, -9))
    assert spawned(node.handle(ev.DataPlaneExited(2, -9))) == [3]
    assert cmd.SendSockets(3, WEB) in node.plane_says(3, "ready", pid=13)


def test_the_control_process_is_restarted_and_traffic_is_not_touched(node: Node) -> None:
    node.serve()
    commands = node.handle(ev.ControlExited(-signal.SIGKILL))
    assert cmd.SpawnControl() in commands
    assert not any(isinstance(c, cmd.Send | cmd.CloseSockets) for c in commands)
    assert cmd.SpawnControl() not in node.handle(ev.ControlExited(1))
    assert cmd.SpawnControl() in node.after(0.25)


@pytest.mark.parametrize(("status", "code"), [(78, 78), (69, 1)])
def test_a_refused_first_config_ends_the_node(node: Node, status: int, code: int) -> None:
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11)
    commands = node.handle(ev.ControlExited(status))
    assert sent(commands, 1) == ["quit"]
    assert cmd.Leave(code) in node.handle(ev.DataPlaneExited(1, 0))


def test_a_control_process_that_never_comes_up_ends_the_node(node: Node) -> None:
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11)
    assert cmd.SpawnControl() in node.handle(ev.ControlExited(1))
    node.handle(ev.ControlExited(1))
    assert cmd.SpawnControl() in node.after(0.25)
    commands = node.handle(ev.ControlExited(1))
    assert sent(commands, 1) == ["quit"]
    assert cmd.Leave(1) in node.handle(ev.DataPlaneExited(1, 0))


def test_a_refused_config_does_not_end_a_node_that_serves(node: Node) -> None:
    node.serve()
    commands = node.handle(ev.ControlExited(78))
    assert cmd.SpawnControl() in commands
    assert sent(commands, 1) == []


def test_what_is_open_is_remembered(node: Node) -> None:
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11)
    node.ask("listen", addresses=[WEB], backlog=64)
    commands = node.plane_says(1, "sockets_ok", address=WEB)
    assert cmd.Remember({WEB: 64}) in commands


def test_without_a_control_process_the_last_good_plan_is_served() -> None:
    node = Node(last_good={WEB: 128})
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11)
    commands = node.after(3.0)
    assert cmd.OpenSockets((WEB,), 128) in commands
    assert cmd.SendSockets(1, WEB) in commands
    commands = node.plane_says(1, "sockets_ok", address=WEB)
    assert any(isinstance(c, cmd.Notify) and "READY=1" in c.state for c in commands)


def test_a_data_plane_on_its_own_serves_its_last_good_plan_at_once() -> None:
    node = Node(last_good={WEB: 128}, fallback_s=0.0)
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11)
    assert cmd.OpenSockets((WEB,), 128) in node.after(0.0)


@pytest.mark.parametrize(("last_good", "quits"), [({}, True), ({WEB: 128}, False)])
def test_a_gate_that_cannot_begin_ends_only_a_node_that_serves_nothing(
    last_good: dict[str, int], quits: bool
) -> None:
    node = Node(last_good=last_good, fallback_s=0.0)
    node.handle(ev.Begin())
    node.handle(ev.ControlExited(EXIT_CONFIG))
    assert (node.machine.state.phase == "quitting") is quits


def test_drain_lets_the_data_plane_finish_then_ends_the_control_process(node: Node) -> None:
    node.serve()
    commands = node.handle(ev.SignalCame("TERM"))
    assert sent(commands, 1) == ["drain"]
    assert cmd.Notify("STOPPING=1") in commands
    assert {"event": "draining"} in replies(commands)
    assert cmd.CloseSockets(WEB) in node.plane_says(1, "closed", address=WEB)
    assert cmd.SignalControl(signal.SIGTERM) in node.handle(ev.DataPlaneExited(1, 0))
    assert without_logs(node.handle(ev.ControlExited(0))) == [cmd.Leave(0)]


def test_a_second_signal_quits(node: Node) -> None:
    node.serve()
    node.handle(ev.SignalCame("INT"))
    commands = node.handle(ev.SignalCame("INT"))
    assert sent(commands, 1) == ["quit"]
    assert cmd.SignalDataPlane(1, signal.SIGKILL) in node.after(QUIT_GRACE_S)
    node.handle(ev.DataPlaneExited(1, -9))
    assert cmd.Leave(0) in node.handle(ev.ControlExited(-9))


def test_a_draining_node_refuses_changes(node: Node) -> None:
    node.serve()
    node.handle(ev.SignalCame("TERM"))
    assert replies(node.ask("upgrade"))[0]["ok"] is False


def test_draining_during_an_upgrade_lets_both_data_planes_go(node: Node) -> None:
    node.serve()
    node.ask("upgrade")
    commands = node.handle(ev.SignalCame("TERM"))
    assert sent(commands, 1) == ["drain"]
    assert sent(commands, 2) == ["quit"]
    assert any(m.get("ok") is False for m in replies(commands))


def test_signals_reach_the_control_process_and_the_data_planes(node: Node) -> None:
    node.serve()
    assert replies(node.handle(ev.SignalCame("HUP"))) == [{"event": "reload"}]
    commands = node.handle(ev.SignalCame("USR1"))
    assert replies(commands) == [{"event": "reopen_logs"}]
    assert sent(commands, 1) == ["reopen_logs"]
    assert spawned(node.handle(ev.SignalCame("USR2"))) == [2]


def test_systemd_is_told_once_a_config_is_served(node: Node) -> None:
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11)
    node.ask("listen", addresses=[WEB])
    node.plane_says(1, "sockets_ok", address=WEB)
    assert cmd.Notify(f"READY=1\nSTATUS=serving {WEB}") in node.ask("control_ready")
    assert not any(isinstance(c, cmd.Notify) for c in node.ask("control_ready"))


def test_the_watchdog_is_fed_for_as_long_as_the_loop_turns() -> None:
    node = Node(watchdog_s=2.0)
    node.serve()
    for _ in range(3):
        assert cmd.Notify("WATCHDOG=1") in node.after(2.0)


def test_ticket_secrets_are_ratcheted_daily_and_given_to_every_data_plane(node: Node) -> None:
    node.serve()
    commands = node.after(PERIOD_S)
    (message,) = [c.message for c in commands if isinstance(c, cmd.Send)]
    assert message["op"] == "tickets"
    assert message["ticket_epoch"] == 1
    assert message["ticket_secrets"][1] == "00" * 32  # type: ignore[index]


def test_a_client_that_hangs_up_is_not_answered(node: Node) -> None:
    node.serve()
    node.ask("upgrade")
    node.handle(ev.ClientGone(CONTROL))
    node.plane_says(2, "ready", pid=12)
    assert replies(node.plane_says(2, "sockets_ok", address=WEB)) == []


def test_an_unknown_request_is_refused(node: Node) -> None:
    node.serve()
    assert replies(node.ask("dance"))[0]["ok"] is False
