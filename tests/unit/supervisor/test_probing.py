"""Data planes that hang and control processes that do not come up, with a clock of our own."""

import signal

import pytest
from supervisor_node import Node, replies, sent, spawned

from headgate.supervisor import commands as cmd
from headgate.supervisor import events as ev
from headgate.supervisor.probing import MISSES, PROBE_S, START_S
from headgate.supervisor.state import AWAY_S


@pytest.fixture
def node() -> Node:
    return Node()


def probing_node(node: Node, **ready: object) -> Node:
    """Generation 1 is ready and, unless said otherwise, answers probes."""
    node.handle(ev.Begin())
    node.plane_says(1, "ready", pid=11, **{"answers_probes": True, **ready})
    return node


def ended(commands: list[cmd.Command]) -> list[int]:
    return [c.generation for c in commands if isinstance(c, cmd.EndHung)]


def test_a_data_plane_that_missed_three_probes_in_a_row_is_ended(node: Node) -> None:
    probing_node(node)
    for _ in range(MISSES):
        commands = node.after(PROBE_S)
        assert sent(commands, 1) == ["probe"]
        assert ended(commands) == []
    assert ended(node.after(PROBE_S)) == [1]
    # Whoever carries it out may have had to leave it: a debugger holds the process.
    assert ended(node.after(PROBE_S)) == [1]
    node.handle(ev.DataPlaneHung(1))
    assert spawned(node.handle(ev.DataPlaneExited(1, -signal.SIGKILL))) == [2]
    about = replies(node.ask("status"))[0]
    assert (about["hung"], about["restarts"]) == (1, {"dataplane": 1, "control": 0})


def test_an_answer_however_late_forgives_what_was_missed(node: Node) -> None:
    probing_node(node)
    for _ in range(MISSES * 3):
        assert ended(node.after(PROBE_S)) == []
        assert ended(node.after(PROBE_S)) == []
        node.plane_says(1, "alive")


def test_what_is_missed_while_the_supervisor_itself_stood_still_does_not_count(node: Node) -> None:
    probing_node(node)
    for _ in range(MISSES * 3):
        assert ended(node.after(PROBE_S * 5)) == []


def test_a_data_plane_that_cannot_answer_probes_is_not_probed(node: Node) -> None:
    probing_node(node, answers_probes=False)
    for _ in range(MISSES * 3):
        commands = node.after(PROBE_S)
        assert (sent(commands, 1), ended(commands)) == ([], [])


def test_a_data_plane_that_is_not_ready_in_time_is_ended(node: Node) -> None:
    node.handle(ev.Begin())
    begun = node.now
    while node.now - begun < START_S:
        commands = node.after(PROBE_S)
        assert sent(commands, 1) == []
        assert ended(commands) == ([1] if node.now - begun >= START_S else [])


def test_a_data_plane_that_hangs_in_a_drain_is_ended(node: Node) -> None:
    probing_node(node)
    node.handle(ev.SignalCame("TERM"))
    for _ in range(MISSES):
        assert ended(node.after(PROBE_S)) == []
    assert ended(node.after(PROBE_S)) == [1]


def test_who_waits_for_a_control_process_is_told_when_none_comes_up(node: Node) -> None:
    node.serve()
    node.handle(ev.ControlExited(1))
    for _ in range(2):
        commands = node.after(AWAY_S)
        assert cmd.AnswerAway() in commands
    node.ask("hello")
    assert cmd.AnswerAway() not in node.after(AWAY_S)
