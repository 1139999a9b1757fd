"""The upgrade's table, walked through; and its driver with a made-up nginx and clock."""

from dataclasses import dataclass, field
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.common import types
from headgate.engines.nginx.common.types import Process, SignalName
from headgate.engines.nginx.upgrade.driver import Times, upgrade
from headgate.engines.nginx.upgrade.machine import (
    FINAL,
    TABLE,
    Arm,
    Event,
    Machine,
    Signal,
    State,
    Timer,
)


def sent(machine: Machine, *events: Event) -> list[str]:
    """The signals that events lead to, as `old USR2`."""
    commands = [command for event in events for command in machine.handle(event)]
    return [f"{one.who} {one.name}" for one in commands if isinstance(one, Signal)]


def test_a_good_upgrade_is_usr2_winch_quit() -> None:
    machine = Machine()
    events = (Event.BEGIN, Event.NEW_RUNS, Event.NEW_SERVES, Event.DEADLINE, Event.OLD_GONE)
    assert sent(machine, *events) == ["old USR2", "old WINCH", "old QUIT"]
    assert machine.state is State.DONE


def test_before_winch_an_undo_ends_the_new_one_alone() -> None:
    # HUP would start a second set of workers beside the old ones.
    machine = Machine()
    events = (Event.BEGIN, Event.NEW_RUNS, Event.DEADLINE, Event.NEW_GONE)
    assert sent(machine, *events) == ["old USR2", "new QUIT"]
    assert machine.state is State.UNDONE


def test_after_winch_an_undo_brings_the_old_workers_back_first() -> None:
    machine = Machine()
    events = (Event.BEGIN, Event.NEW_RUNS, Event.NEW_SERVES, Event.NEW_FAILS, Event.NEW_GONE)
    assert sent(machine, *events) == ["old USR2", "old WINCH", "old HUP", "new QUIT"]
    assert machine.state is State.UNDONE


def test_a_resumed_upgrade_asks_for_the_proof_again() -> None:
    assert sent(Machine(), Event.RESUME, Event.NEW_SERVES) == ["old WINCH"]
    assert sent(Machine(), Event.RESUME, Event.DEADLINE) == ["new QUIT"]
    assert sent(Machine(), Event.RESUME_ALONE, Event.DEADLINE) == ["old HUP", "new QUIT"]


def test_who_does_not_leave_is_told_again_with_term() -> None:
    machine = Machine()
    events = (Event.BEGIN, Event.NEW_RUNS, Event.NEW_SERVES, Event.DEADLINE, Event.DEADLINE)
    assert sent(machine, *events)[-2:] == ["old QUIT", "old TERM"]
    assert machine.state is State.LEAVING


def test_nothing_leads_out_of_an_end() -> None:
    assert not [state for state, _ in TABLE if state in FINAL]


def test_every_state_that_waits_has_a_deadline() -> None:
    waiting = {state for state in State if state not in FINAL | {State.IDLE}}
    assert {state for state, event in TABLE if event is Event.DEADLINE} == waiting
    for (_, _), (state, commands) in TABLE.items():
        if state in waiting:
            assert any(isinstance(one, Arm) for one in commands)


def test_the_old_master_is_ended_only_after_a_soak() -> None:
    for (state, event), (_, commands) in TABLE.items():
        if Signal("old", "QUIT") in commands:
            assert (state, event) == (State.SOAKING, Event.DEADLINE)


@pytest.mark.parametrize(("state", "event"), list(product(sorted(FINAL), Event)))
def test_an_end_stays_an_end(state: State, event: Event) -> None:
    machine = Machine()
    machine.state = state
    assert machine.handle(event) == ()
    assert machine.state is state


@given(st.lists(st.sampled_from(list(Event)), max_size=30))
def test_whatever_happens_one_of_the_two_is_left_to_serve(events: list[Event]) -> None:
    machine = Machine()
    ended: set[str] = set()
    for event in events:
        for command in machine.handle(event):
            if isinstance(command, Signal) and command.name in {"QUIT", "TERM"}:
                ended.add(command.who)
    assert len(ended) <= 1


OLD, NEW = Process(10, 1), Process(20, 2)


@dataclass
class FakeNginx:
    """An nginx that obeys; `comes` and `dies_on` make it fail. `late` is the number of looks for
    which its old workers go on after WINCH."""

    comes: bool = True
    dies_on: str = ""
    late: int = 0
    tested: types.Tested = field(default_factory=lambda: types.Tested(ok=True))
    alive: set[int] = field(default_factory=lambda: {10})
    signals: list[str] = field(default_factory=list)

    def master(self) -> Process | None:
        return NEW if 20 in self.alive else OLD if 10 in self.alive else None

    def old_master(self) -> Process | None:
        return OLD if {10, 20} <= self.alive else None

    def workers_of(self, master: Process) -> tuple[Process, ...]:
        is_sent = master == OLD and "10 WINCH" in self.signals
        gone = is_sent and self.late == 0
        self.late -= 1 if is_sent and self.late else 0
        return () if gone else (Process(master.pid + 1, master.started),)

    def is_alive(self, process: Process) -> bool:
        return process.pid in self.alive

    def signal_to(self, process: Process, name: SignalName) -> None:
        self.signals.append(f"{process.pid} {name}")
        if name == "USR2" and self.comes:
            self.alive.add(20)
        if name in {"QUIT", "TERM"}:
            self.alive.discard(process.pid)
        if self.dies_on == name:
            self.alive.discard(20)

    def test_running(self) -> types.Tested:
        return self.tested


class Clock:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def test_the_driver_does_what_the_machine_says() -> None:
    nginx, clock = FakeNginx(), Clock()
    done = upgrade(nginx, lambda _: True, Times(soak=5), clock=clock, wait=clock.wait)
    assert (done.state, done.why) == (State.DONE, "")
    assert nginx.signals == ["10 USR2", "10 WINCH", "10 QUIT"]
    assert clock.now == pytest.approx(5, abs=0.1)


def test_one_probe_without_an_answer_does_not_end_a_soak() -> None:
    nginx, clock = FakeNginx(), Clock()
    answers = iter([True, False, False, True, False])
    done = upgrade(
        nginx, lambda _: next(answers, True), Times(soak=1), clock=clock, wait=clock.wait
    )
    assert done.state is State.DONE


def test_old_workers_that_are_sent_away_late_answer_too_and_end_no_soak() -> None:
    nginx, clock = FakeNginx(late=10), Clock()
    proof = iter([True])
    done = upgrade(
        nginx,
        lambda _: next(proof, nginx.late == 0),
        Times(soak=1),
        clock=clock,
        wait=clock.wait,
    )
    assert (done.state, done.why) == (State.DONE, "")
    assert nginx.late == 0


def test_a_new_master_that_never_comes_changes_nothing() -> None:
    nginx, clock = FakeNginx(comes=False), Clock()
    done = upgrade(nginx, lambda _: True, Times(start=3), clock=clock, wait=clock.wait)
    assert (done.state, done.why) == (State.NOT_STARTED, "the new binary did not come up")
    assert nginx.signals == ["10 USR2"]


def test_a_new_master_that_dies_in_the_soak_is_left_to_nginx_to_undo() -> None:
    nginx, clock = FakeNginx(dies_on="WINCH"), Clock()
    done = upgrade(nginx, lambda _: True, clock=clock, wait=clock.wait)
    assert (done.state, done.why) == (State.UNDONE, "the new master ended during the soak")
    assert nginx.signals == ["10 USR2", "10 WINCH"]


def test_two_masters_at_the_start_are_gone_on_with() -> None:
    nginx, clock = FakeNginx(alive={10, 20}, signals=["10 WINCH"]), Clock()
    done = upgrade(nginx, lambda _: False, clock=clock, wait=clock.wait)
    assert done.state is State.UNDONE
    assert nginx.signals[1:] == ["10 HUP", "20 QUIT"]


def test_a_config_the_new_binary_refuses_is_not_even_begun() -> None:
    nginx = FakeNginx(tested=types.Tested(ok=False, problems=("no",)))
    done = upgrade(nginx, lambda _: True)
    assert (done.state, done.why, nginx.signals) == (State.NOT_STARTED, "no", [])


def test_without_a_master_there_is_nothing_to_replace() -> None:
    with pytest.raises(ProcessLookupError):
        upgrade(FakeNginx(alive=set()), lambda _: True)


def test_each_timer_has_its_time() -> None:
    times = Times(1, 2, 3, 4)
    assert [times.of(timer) for timer in Timer] == [1, 2, 3, 4]
