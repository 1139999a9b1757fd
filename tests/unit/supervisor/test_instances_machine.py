"""The decisions of an agent with several instances, with a clock of the tests' own."""

import signal
from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.supervisor.instances.driver import decoded
from headgate.supervisor.instances.machine import (
    PLAN_S,
    EndReading,
    Leave,
    Log,
    Machine,
    Notify,
    Read,
    Recipe,
    Reply,
    Signal,
    Spawn,
)

GRACE_S: Final = 33.0


def recipes(*names: str) -> dict[str, Recipe]:
    """Instances of these names."""
    return {name: Recipe(["headgate", name], GRACE_S) for name in names}


def begun(*names: str) -> Machine:
    """A machine whose instances run."""
    machine = Machine(recipes(*names))
    machine.begin(0.0)
    for pid, name in enumerate(names, 100):
        machine.spawned(name, pid)
    return machine


def states(machine: Machine) -> dict[str, str]:
    """The state of each instance."""
    return {name: str(one.state) for name, one in machine.members.items()}


def spawns(commands: Sequence[object]) -> list[str]:
    """The instances that are started."""
    return [one.name for one in commands if isinstance(one, Spawn)]


def test_it_starts_every_instance_and_is_ready_at_once() -> None:
    commands = Machine(recipes("a", "b")).begin(0.0)
    assert spawns(commands) == ["a", "b"]
    assert Notify("READY=1\nSTATUS=drives 2 instances") in commands


def test_a_death_concerns_only_that_instance_and_the_next_start_waits_longer() -> None:
    machine = begun("a", "b")
    assert spawns(machine.exited("a", -signal.SIGKILL, 1.0)) == ["a"]
    machine.exited("a", 1, 1.1)
    assert states(machine) == {"a": "waiting", "b": "running"}
    assert machine.deadline() == pytest.approx(1.6)
    assert spawns(machine.tick(1.5)) == []
    assert spawns(machine.tick(1.6)) == ["a"]
    machine.exited("a", 1, 1.7)
    assert machine.deadline() == pytest.approx(2.7)
    assert machine.members["a"].restarts == 3
    assert machine.members["a"].why == "exit code 1"


@pytest.mark.parametrize(("status", "state"), [(0, "ended"), (78, "refused")])
def test_what_was_drained_or_refused_stays_down_until_a_reload(status: int, state: str) -> None:
    machine = begun("a", "b")
    assert spawns(machine.exited("a", status, 1.0)) == []
    assert states(machine) == {"a": state, "b": "running"}
    assert machine.deadline() is None
    assert machine.signalled("HUP", 2.0)[-1] == Read()
    commands = machine.planned(recipes("a", "b"), "", 3.0)
    assert spawns(commands) == ["a"]
    assert Signal("b", signal.SIGHUP) in commands


@pytest.mark.parametrize(("statuses", "code"), [((0, 0), 0), ((0, 78), 78)])
def test_the_agent_leaves_once_no_instance_runs_or_will(
    statuses: tuple[int, int], code: int
) -> None:
    machine = begun("a", "b")
    assert Leave(code) not in machine.exited("a", statuses[0], 1.0)
    assert machine.exited("b", statuses[1], 2.0)[-1] == Leave(code)


def test_a_reload_starts_and_ends_instances_and_leaves_the_others_alone() -> None:
    machine = begun("a", "b")
    assert machine.said(7, {"op": "reload", "id": 1}, 1.0) == [Read()]
    commands = machine.planned(recipes("b", "c"), "", 2.0)
    told = {"id": 1, "ok": True, "error": "", "started": ["c"], "stopped": ["a"]}
    assert commands == [
        Signal("a", signal.SIGTERM),
        Spawn("c", ["headgate", "c"]),
        Log("info", "instances_changed", {"started": ["c"], "stopped": ["a"]}),
        Reply(7, told),
    ]
    assert states(machine) == {"a": "leaving", "b": "running", "c": "running"}
    machine.exited("a", 0, 3.0)
    assert states(machine) == {"b": "running", "c": "running"}


def test_one_that_comes_back_while_it_leaves_starts_after_its_end() -> None:
    machine = begun("a", "b")
    machine.said(7, {"op": "reload"}, 1.0)
    machine.planned(recipes("b"), "", 1.0)
    machine.said(7, {"op": "reload"}, 2.0)
    machine.planned(recipes("a", "b"), "", 2.0)
    assert states(machine)["a"] == "leaving"
    assert spawns(machine.exited("a", 0, 3.0)) == ["a"]


def test_one_that_does_not_leave_in_its_grace_is_killed() -> None:
    machine = begun("a", "b")
    machine.said(7, {"op": "reload"}, 1.0)
    machine.planned(recipes("b"), "", 1.0)
    due = machine.deadline()
    assert due == 1.0 + GRACE_S + 2.0
    assert Signal("a", signal.SIGKILL) in machine.tick(due)


def test_a_refused_config_changes_nothing_and_the_asker_hears_why() -> None:
    machine = begun("a")
    machine.said(7, {"op": "reload", "id": 4}, 1.0)
    error = "node.toml:3:1: node.instances.a: …"
    commands = machine.planned(None, error, 2.0)
    assert commands == [
        Log("error", "reload_refused", {"error": error}),
        Reply(7, {"id": 4, "ok": False, "error": error}),
    ]
    assert states(machine) == {"a": "running"}


def test_reloads_during_a_run_share_the_next_one() -> None:
    machine = begun("a")
    assert machine.said(7, {"op": "reload", "id": 1}, 1.0) == [Read()]
    assert machine.said(8, {"op": "reload", "id": 2}, 1.1) == []
    assert machine.planned(recipes("a"), "", 1.2) == [Read()]
    machine.gone(7)
    (reply,) = machine.planned(recipes("a"), "", 1.3)
    assert isinstance(reply, Reply)
    assert reply.client == 8


def test_a_config_that_is_not_read_in_time_is_given_up() -> None:
    machine = begun("a")
    machine.said(7, {"op": "reload", "id": 1}, 1.0)
    assert machine.tick(1.0 + PLAN_S) == [EndReading()]


def test_sigterm_reaches_all_at_once_and_what_stays_is_killed() -> None:
    machine = begun("a", "b")
    machine.exited("a", 1, 1.0)
    machine.exited("a", 1, 1.1)  # it waits for another start, and gets none
    commands = machine.signalled("TERM", 2.0)
    assert [one for one in commands if isinstance(one, Signal)] == [Signal("b", signal.SIGTERM)]
    assert machine.deadline() == 2.0 + GRACE_S + 2.0
    assert Signal("b", signal.SIGKILL) in machine.tick(40.0)
    assert machine.exited("b", -9, 40.1) == [Leave(1)]


def test_a_second_sigterm_does_not_wait_for_requests() -> None:
    machine = begun("a")
    machine.signalled("TERM", 2.0)
    assert Signal("a", signal.SIGTERM) in machine.signalled("INT", 3.0)
    assert machine.deadline() == 7.0
    assert machine.exited("a", 0, 3.5) == [Leave(0)]


def test_other_signals_go_on_to_each_instance() -> None:
    machine = begun("a", "b")
    assert machine.signalled("USR1", 1.0) == [
        Signal("a", signal.SIGUSR1),
        Signal("b", signal.SIGUSR1),
    ]


def test_systemd_hears_that_the_agent_lives() -> None:
    machine = Machine(recipes("a"), watchdog_s=15.0)
    machine.begin(0.0)
    assert machine.tick(15.0) == [Notify("WATCHDOG=1")]
    assert machine.deadline() == 30.0


def test_it_says_what_it_knows_of_each() -> None:
    machine = begun("a")
    (reply,) = machine.said(7, {"op": "instances", "id": 1}, 1.0)
    assert isinstance(reply, Reply)
    about = {"a": {"state": "running", "pid": 100, "restarts": 0, "why": ""}}
    assert reply.message == {"id": 1, "ok": True, "instances": about}
    (reply,) = machine.said(7, {"op": "fly", "id": 2}, 1.0)
    assert isinstance(reply, Reply)
    assert reply.message == {"id": 2, "ok": False, "error": "unknown op 'fly'"}


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b"{}", b'{"instances": {"a": {}}}'])
def test_what_is_no_answer_about_the_config_refuses_it(answer: bytes) -> None:
    assert decoded(answer) == (None, "the config could not be read; see the log")


NAMES = ("a", "b", "c")
STEP = st.one_of(
    st.tuples(st.just("exit"), st.sampled_from(NAMES), st.sampled_from([0, 1, 78, -9])),
    st.tuples(st.just("plan"), st.sets(st.sampled_from(NAMES), min_size=1), st.none()),
    st.tuples(st.just("signal"), st.sampled_from(["TERM", "INT", "HUP", "USR2"]), st.none()),
    st.tuples(st.just("wait"), st.floats(0.0, 100.0), st.none()),
)


class World:
    """What the machine's commands do; it holds that none of them is wrong."""

    def __init__(self) -> None:
        self.machine = Machine(recipes("a", "b"))
        self.now = 0.0
        self.alive: set[str] = set()
        self.is_reading = False
        self.left = False
        self.do(self.machine.begin(0.0))

    def do(self, commands: Sequence[object]) -> None:
        """Carries out."""
        for one in commands:
            assert not self.left, "nothing follows its end"
            if isinstance(one, Spawn):
                assert one.name not in self.alive
                self.alive.add(one.name)
                self.machine.spawned(one.name, 1)
            elif isinstance(one, Signal):
                assert one.name in self.alive
            elif isinstance(one, Read):
                assert not self.is_reading
                self.is_reading = True
            elif isinstance(one, EndReading) and self.is_reading:
                self.is_reading = False
                self.do(self.machine.planned(None, "it was not read in time", self.now))
            self.left = self.left or isinstance(one, Leave)

    def ends(self, name: str, status: int) -> None:
        """The process of an instance ends, if there is one."""
        if name in self.alive:
            self.alive.discard(name)
            self.do(self.machine.exited(name, status, self.now))

    def reload(self, names: set[str]) -> None:
        """The config has these instances."""
        self.do(self.machine.said(1, {"op": "reload"}, self.now))
        while self.is_reading:
            self.is_reading = False
            self.do(self.machine.planned(recipes(*sorted(names)), "", self.now))

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.do(self.machine.tick(self.now))


@given(st.lists(STEP, max_size=40))
def test_no_instance_ever_has_two_processes_and_the_agent_ends_when_told(
    steps: list[tuple[str, Any, Any]],
) -> None:
    world = World()
    for kind, what, status in [*steps, ("signal", "TERM", None)]:
        if world.left:
            break
        world.now += 0.01
        if kind == "exit":
            world.ends(what, status)
        elif kind == "plan":
            world.reload(what)
        elif kind == "signal":
            world.do(world.machine.signalled(what, world.now))
        else:
            world.wait(what)
    for name in sorted(world.alive):
        world.ends(name, 0)
    assert world.left
