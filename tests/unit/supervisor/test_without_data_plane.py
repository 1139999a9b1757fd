"""The supervisor of a node whose traffic nginx serves: it looks after the control process alone."""

import signal

import pytest

from headgate.supervisor import commands as cmd
from headgate.supervisor import events as ev
from headgate.supervisor.machine import Machine
from headgate.supervisor.state import Settings

CONTROL = 7


@pytest.fixture
def machine() -> Machine:
    settings = Settings("/state", [0], 1, has_data_plane=False, control_grace_s=40.0)
    return Machine(settings, bytes(32))


def said(machine: Machine, op: str, **fields: object) -> list[cmd.Command]:
    return machine.handle(ev.ClientSaid(CONTROL, {"id": 1, "op": op, **fields}), 101.0)


def test_only_the_control_process_is_started(machine: Machine) -> None:
    commands = machine.handle(ev.Begin(), 100.0)
    assert [type(command) for command in commands] == [cmd.SpawnControl]


@pytest.mark.parametrize("op", ["listen", "release"])
def test_what_needs_a_data_plane_is_refused(machine: Machine, op: str) -> None:
    machine.handle(ev.Begin(), 100.0)
    [reply] = said(machine, op, addresses=["127.0.0.1:80"])
    assert isinstance(reply, cmd.Reply)
    assert reply.message["ok"] is False
    assert "nginx" in str(reply.message["error"])


def test_an_upgrade_replaces_the_control_process_after_it_was_answered(machine: Machine) -> None:
    machine.handle(ev.Begin(), 100.0)
    reply, told = said(machine, "upgrade")
    assert isinstance(reply, cmd.Reply)
    assert reply.message["ok"] is True
    assert told == cmd.SignalControl(signal.SIGTERM)
    [status] = said(machine, "status")
    assert isinstance(status, cmd.Reply)
    assert status.message["control_is_connected"] is False
    commands = machine.handle(ev.ControlExited(0), 102.0)
    assert [type(command) for command in commands] == [cmd.SpawnControl]
    [status] = said(machine, "status")
    assert isinstance(status, cmd.Reply)
    assert status.message["restarts"] == {"dataplane": 0, "control": 0}


def test_an_upgrade_by_signal_does_the_same(machine: Machine) -> None:
    machine.handle(ev.Begin(), 100.0)
    told = machine.handle(ev.SignalCame("USR2"), 100.0)
    assert told == [cmd.SignalControl(signal.SIGTERM)]


def test_an_upgrade_while_the_node_leaves_is_refused(machine: Machine) -> None:
    machine.handle(ev.Begin(), 100.0)
    machine.handle(ev.SignalCame("TERM"), 100.5)
    [reply] = said(machine, "upgrade")
    assert isinstance(reply, cmd.Reply)
    assert reply.message["error"] == "the node is leaving"


def test_another_count_of_workers_starts_nothing(machine: Machine) -> None:
    machine.handle(ev.Begin(), 100.0)
    assert [type(command) for command in said(machine, "workers", count=4)] == [cmd.Reply]


def test_systemd_hears_that_nginx_serves(machine: Machine) -> None:
    machine.handle(ev.Begin(), 100.0)
    notes = [c.state for c in said(machine, "control_ready") if isinstance(c, cmd.Notify)]
    assert notes == ["READY=1\nSTATUS=serving through nginx"]


def test_leaving_gives_the_control_process_the_time_nginx_needs_to_drain(machine: Machine) -> None:
    machine.handle(ev.Begin(), 100.0)
    commands = machine.handle(ev.SignalCame("TERM"), 110.0)
    assert any(isinstance(command, cmd.SignalControl) for command in commands)
    assert machine.deadline() == pytest.approx(150.0)
    [left] = [c for c in machine.handle(ev.ControlExited(0), 120.0) if isinstance(c, cmd.Leave)]
    assert left.code == 0
