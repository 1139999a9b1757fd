"""One turn of the machine: the state as it changes and the commands that collect. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from headgate.master.domains.rollouts.events import Alarm, Command, Serve
from headgate.master.domains.rollouts.state import Entry, Hold, Node, Phase, Rollout, noted

MAX_STEP_S: Final = 15.0
_NAMED = 5


class Turn:
    """The changes that one event makes to a state; `state` gives the result."""

    def __init__(self, state: Rollout, now: float) -> None:
        self.now = now
        self.nodes = dict(state.nodes)
        self.commands: list[Command] = []
        self._state = state

    @property
    def state(self) -> Rollout:
        """The state so far."""
        return self._state

    def result(self) -> tuple[Rollout, list[Command]]:
        """Returns the new state and the commands."""
        if self.nodes != self._state.nodes:
            self.set(nodes=self.nodes)
        return self._state, self.commands

    def set(self, **fields: object) -> None:
        """Changes fields of the state."""
        self._state = msgspec.structs.replace(self._state, **fields)

    def set_wave(self, **fields: object) -> None:
        """Changes fields of the current wave's record."""
        waves = list(self._state.waves)
        waves[self._state.wave] = msgspec.structs.replace(waves[self._state.wave], **fields)
        self.set(waves=tuple(waves))

    def set_node(self, agent: str, **fields: object) -> None:
        """Changes fields of an agent's standing."""
        self.nodes[agent] = msgspec.structs.replace(self.nodes.get(agent) or Node(), **fields)

    def tick(self) -> None:
        """Moves the rollout's clock. It never goes back, and does not count a step that is longer
        than a driver takes: the day's clock was set, or nobody looked."""
        last = self._state.ticked_at
        step = 0.0 if last is None else self.now - last
        counted = step if 0.0 <= step <= MAX_STEP_S else 0.0
        self.set(clock_s=self._state.clock_s + counted, ticked_at=self.now)

    def note(self, kind: str, text: str) -> None:
        """Adds a line to the timeline."""
        self.set(timeline=noted(self._state.timeline, Entry(self.now, kind, text)))

    def alarm(self, text: str) -> None:
        """Tells people, and notes it."""
        self.note("alarm", text)
        self.commands.append(Alarm(text))

    def enter(self, phase: Phase, text: str) -> None:
        """Enters a phase, and notes why."""
        self.set(phase=phase, hold=None)
        self.note(phase, text)
        if self._state.has_ended:
            self.set(ended_at=self.now)

    def need(self, approvals: int) -> None:
        """Makes the rollout need at least so many approvals."""
        spec = self._state.spec
        if approvals > spec.approvals:
            self.set(spec=msgspec.structs.replace(spec, approvals=approvals))

    def hold(self, reason: str) -> None:
        """Holds the rollout; a hold that lasts too long alarms once."""
        held = self._state.hold
        if held is None or held.reason != reason:
            since = self._state.clock_s if held is None else held.since_clock
            self.set(hold=Hold(reason, since, held is not None and held.is_alarmed))
            if held is None:
                self.note("hold", f"the rollout holds: {reason}")
        held = self._state.hold
        if held is None or held.is_alarmed:
            return
        if self._state.clock_s - held.since_clock > self._state.spec.pace.hold_alarm_s:
            self.set(hold=msgspec.structs.replace(held, is_alarmed=True))
            self.alarm(f"rollout {self._state.spec.rollout} holds for too long: {reason}")

    def go_on(self) -> None:
        """Ends a hold."""
        if self._state.hold is not None:
            self.set(hold=None)
            self.note("hold", "the rollout goes on")

    def serve(self, revision: int, agents: Iterable[str]) -> None:
        """Commands that agents serve a revision; nothing without agents."""
        chosen = tuple(sorted(agents))
        for agent in chosen:
            self.set_node(agent, desired=revision)
        if chosen:
            self.commands.append(Serve(revision, chosen))


def named(agents: Sequence[str]) -> str:
    """Returns the first few of many agents, and how many more there are."""
    more = f" and {len(agents) - _NAMED} more" if len(agents) > _NAMED else ""
    return ", ".join(agents[:_NAMED]) + more
