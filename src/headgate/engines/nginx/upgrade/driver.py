"""Carries out a binary upgrade on a real nginx."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from headgate.engines.nginx.common.types import Process, SignalName, Tested
from headgate.engines.nginx.upgrade.machine import (
    FINAL,
    Arm,
    Command,
    Event,
    Machine,
    State,
    Timer,
)

_LOOK_S: Final = 0.02
_PROOFS: Final = frozenset({State.PROVING, State.PROVING_ALONE})
_SOAK_FAILURES: Final = 3
"""Unanswered probes in a row that end a soak, once the old workers are leaving: one may fall into a
worker's start."""


class Upgradable(Protocol):
    """The methods that an upgrade needs of an instance."""

    def master(self) -> Process | None:
        """Returns the newest master."""
        ...

    def old_master(self) -> Process | None:
        """Returns the other one, while there are two."""
        ...

    def workers_of(self, master: Process) -> tuple[Process, ...]:
        """Returns the workers of one of the two."""
        ...

    def is_alive(self, process: Process) -> bool:
        """Reports whether this very process runs."""
        ...

    def signal_to(self, process: Process, name: SignalName) -> None:
        """Signals exactly this process."""
        ...

    def test_running(self) -> Tested:
        """Tests the running config with the binary on disk."""
        ...


@dataclass(frozen=True, slots=True)
class Times:
    """Deadlines in seconds: until the new master runs, until its workers answer, how long they must
    go on answering, how long leaving workers may finish their requests.
    """

    start: float = 10.0
    prove: float = 10.0
    soak: float = 5.0
    leave: float = 60.0

    def of(self, timer: Timer) -> float:
        """Returns the seconds of a timer."""
        by_timer = {
            Timer.START: self.start,
            Timer.PROVE: self.prove,
            Timer.SOAK: self.soak,
            Timer.LEAVE: self.leave,
        }
        return by_timer[timer]


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The result: "done", "not started" (nothing changed) or "undone"; `why` when not done."""

    state: State
    why: str = ""


def upgrade(
    instance: Upgradable,
    serves: Callable[[Process], bool],
    times: Times | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> Upgraded:
    """Replaces the running binary by the one on disk; continues an interrupted run.

    `serves` says whether a worker of the new master answered one fresh connection. Blocks up to the
    sum of `times`. Raises RightMissingError when we may not signal the masters and
    ProcessLookupError when none runs.
    """
    old, new = instance.old_master(), instance.master()
    if new is None:
        raise ProcessLookupError("no nginx master runs")
    machine = Machine()
    if old is not None:
        stays = any(not worker.shutting_down for worker in instance.workers_of(old))
        first = Event.RESUME if stays else Event.RESUME_ALONE
        return _Run(instance, serves, times or Times(), machine, old, new).go(first, clock, wait)
    tested = instance.test_running()
    if not tested.ok:
        return Upgraded(State.NOT_STARTED, "; ".join(tested.problems))
    return _Run(instance, serves, times or Times(), machine, new, None).go(Event.BEGIN, clock, wait)


@dataclass(slots=True)
class _Run:
    instance: Upgradable
    serves: Callable[[Process], bool]
    times: Times
    machine: Machine
    old: Process
    new: Process | None
    until: float = 0.0
    failures: int = 0
    why: str = ""

    def go(
        self, first: Event, clock: Callable[[], float], wait: Callable[[float], None]
    ) -> Upgraded:
        event: Event | None = first
        while True:
            if event is not None:
                self._note(event)
                for command in self.machine.handle(event):
                    self._carry_out(command, clock)
            if self.machine.state in FINAL:
                return Upgraded(self.machine.state, self.why)
            event = self._look(clock)
            if event is None:
                wait(_LOOK_S)

    def _carry_out(self, command: Command, clock: Callable[[], float]) -> None:
        if isinstance(command, Arm):
            self.until = clock() + self.times.of(command.timer)
            return
        target = self.old if command.who == "old" else self.new
        if target is not None and self.instance.is_alive(target):
            self.instance.signal_to(target, command.name)

    def _look(self, clock: Callable[[], float]) -> Event | None:
        if not self.instance.is_alive(self.old):
            return Event.OLD_GONE
        if self.new is None:
            found = self.instance.master()
            if found is not None and found != self.old:
                self.new = found
                return Event.NEW_RUNS
        elif not self.instance.is_alive(self.new):
            return Event.NEW_GONE
        elif self.machine.state in _PROOFS | {State.SOAKING}:
            proof = self._ask(self.new)
            if proof is not None:
                return proof
        return Event.DEADLINE if clock() >= self.until else None

    def _ask(self, new: Process) -> Event | None:
        is_soaking = self.machine.state is State.SOAKING
        # The old workers answer, too, until their master gets to the signal that sends them away.
        old_answer = is_soaking and self._old_accepts()
        if self.serves(new):
            self.failures = 0
            return Event.NEW_SERVES if self.machine.state in _PROOFS else None
        if not old_answer:
            self.failures += 1
        return Event.NEW_FAILS if is_soaking and self.failures >= _SOAK_FAILURES else None

    def _old_accepts(self) -> bool:
        return any(not one.shutting_down for one in self.instance.workers_of(self.old))

    def _note(self, event: Event) -> None:
        late = "the new binary's workers did not answer in time"
        early = "the new master ended before its workers answered"
        words = {
            (State.STARTING, Event.DEADLINE): "the new binary did not come up",
            (State.STARTING, Event.OLD_GONE): "the old master ended meanwhile",
            (State.PROVING, Event.DEADLINE): late,
            (State.PROVING_ALONE, Event.DEADLINE): late,
            (State.PROVING, Event.NEW_GONE): early,
            (State.PROVING_ALONE, Event.NEW_GONE): early,
            (State.SOAKING, Event.NEW_FAILS): "the new binary's workers stopped answering",
            (State.SOAKING, Event.NEW_GONE): "the new master ended during the soak",
        }
        self.why = words.get((self.machine.state, event), self.why)
