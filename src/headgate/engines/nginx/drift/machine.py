"""Decides what to do about drift, and when. No I/O; the time comes with each event."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from headgate.engines.nginx.common.types import Mode
from headgate.engines.nginx.drift.finding import Finding, State


class Policy(StrEnum):
    """Report drift; heal it after a while."""

    REPORT = "report"
    HEAL = "heal"


def default_policy(mode: Mode) -> Policy:
    """Returns `heal` where the whole config is ours, else `report`."""
    return Policy.HEAL if mode == "full" else Policy.REPORT


@dataclass(frozen=True, slots=True)
class Rules:
    """Times in seconds.

    A heal begins when drift has lasted for `heal_after`. `most_heals` within `window` are a fight
    with another tool: each further heal then waits for `back_off`, doubled each time up to
    `back_off_most`.
    """

    policy: Policy
    heal_after: float = 60.0
    most_heals: int = 3
    window: float = 600.0
    back_off: float = 600.0
    back_off_most: float = 3600.0


@dataclass(frozen=True, slots=True)
class Looked:
    """A look at the instance ended. `is_applying`: during an apply files may be incomplete.

    `is_ordered`: a person wants the drift healed now, whatever the policy and the times are; a hold
    counts all the same.
    """

    finding: Finding
    is_held: bool = False
    is_applying: bool = False
    is_ordered: bool = False


@dataclass(frozen=True, slots=True)
class HealEnded:
    """A heal ended; `why` is not empty when it failed."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """The finding is another one than before."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class Heal:
    """Put this generation back; it is the one wanted now, never an older one."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class Reprobe:
    """The binary changed: probe it again."""

    digest: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """A person must look; None = no longer."""

    text: str | None


@dataclass(frozen=True, slots=True)
class WakeIn:
    """Look again after this many seconds, whatever happens before."""

    seconds: float


Event = Looked | HealEnded
Command = Report | Heal | Reprobe | Alarm | WakeIn

_FAILED_AGAIN_S: Final = 60.0


@dataclass(slots=True)
class Machine:
    """The drift of one instance: the last finding and the alarm that stands."""

    rules: Rules
    finding: Finding | None = None
    alarm: str | None = None
    _since: float | None = None
    _generation: int = 0
    _is_healing: bool = False
    _heals: deque[float] = field(default_factory=deque)
    _not_before: float = 0.0
    _back_off: float = 0.0
    _reprobed: str = ""

    def handle(self, event: Event, now: float) -> list[Command]:
        """Takes an event at a time in seconds (any origin, never going back)."""
        if isinstance(event, HealEnded):
            return self._healed(event, now)
        if event.is_applying:
            # The apply is still writing the disk; the look after it decides.
            self._since = None
            return []
        commands = self._reported(event.finding)
        if event.finding.generation != self._generation:
            self._generation, self._since = event.finding.generation, None
        if not event.finding.is_drift:
            self._since = None
            return commands + self._calmed(now)
        if event.is_held:
            # Its time starts at the end of the hold, so that a heal never comes at that very
            # moment.
            self._since = None
            return commands
        if self._since is None:
            self._since = now
        if event.is_ordered and not self._is_healing:
            self._is_healing = True
            return [*commands, Heal(event.finding)]
        return commands + self._answered(event.finding, self._since, now)

    def _answered(self, finding: Finding, since: float, now: float) -> list[Command]:
        if self.rules.policy is Policy.HEAL and not self._is_healing:
            return self._due(finding, since, now)
        return []

    def _reported(self, finding: Finding) -> list[Command]:
        commands: list[Command] = []
        if finding != self.finding:
            self.finding = finding
            commands.append(Report(finding))
        if State.BINARY_CHANGED in finding.states and finding.binary != self._reprobed:
            self._reprobed = finding.binary
            commands.append(Reprobe(finding.binary))
        return commands

    def _due(self, finding: Finding, since: float, now: float) -> list[Command]:
        commands = self._fight(now)
        due = max(since + self.rules.heal_after, self._not_before)
        if now < due:
            return [*commands, WakeIn(due - now)]
        self._is_healing = True
        self._heals.append(now)
        return [*commands, Heal(finding)]

    def _fight(self, now: float) -> list[Command]:
        """Backs off once, when the window is full and the drift is back."""
        while self._heals and now - self._heals[0] > self.rules.window:
            self._heals.popleft()
        if len(self._heals) < self.rules.most_heals:
            return []
        self._back_off = min(max(self._back_off * 2, self.rules.back_off), self.rules.back_off_most)
        self._not_before = now + self._back_off
        self._heals.clear()
        minutes = f"{self.rules.window / 60:g}"
        return self._alarmed(
            f"{self.rules.most_heals} heals in {minutes} min: something else writes these files;"
            f" the next heal waits {self._back_off / 60:g} min"
        )

    def _healed(self, event: HealEnded, now: float) -> list[Command]:
        self._is_healing = False
        self._since = None
        if not event.why:
            return []
        self._not_before = max(self._not_before, now + _FAILED_AGAIN_S)
        return self._alarmed(f"drift could not be healed: {event.why}")

    def _calmed(self, now: float) -> list[Command]:
        """Forgets all heals after a window in sync, counted from when the next heal was allowed."""
        quiet = max(self._not_before, self._heals[-1] if self._heals else 0.0)
        if now < quiet + self.rules.window and (self._back_off or self.alarm):
            return [WakeIn(quiet + self.rules.window - now)]
        self._back_off = 0.0
        return self._alarmed(None)

    def _alarmed(self, text: str | None) -> list[Command]:
        if text == self.alarm:
            return []
        self.alarm = text
        return [Alarm(text)]
