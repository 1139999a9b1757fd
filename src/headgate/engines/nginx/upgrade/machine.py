"""Replaces the binary without a lost connection: nginx's USR2 procedure as a transition table.

The old master starts the new one on its sockets (USR2). Once the new one's workers answer, the old
one's are sent away (WINCH); after a soak the old master leaves (QUIT). Until then everything can be
undone: HUP to the old master starts workers again without reading its config (it does not while a
new binary runs), QUIT ends the new one. HUP is for after WINCH only: before, it would start a
second set of workers beside the first. Source: "Upgrading an Executable on the Fly",
nginx.org/en/docs/control.html. No I/O and no clock here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from headgate.engines.nginx.common.types import SignalName

Who = Literal["old", "new"]


class State(StrEnum):
    """The stage of an upgrade."""

    IDLE = "idle"
    STARTING = "starting"
    PROVING = "proving"
    PROVING_ALONE = "proving, the old workers sent away"
    SOAKING = "soaking"
    LEAVING = "leaving"
    UNDOING = "undoing"
    DONE = "done"
    NOT_STARTED = "not started"
    UNDONE = "undone"


class Event(StrEnum):
    """The event that was seen since the last command."""

    BEGIN = "begin"
    RESUME = "resume"
    RESUME_ALONE = "resume, the old workers sent away"
    NEW_RUNS = "new runs"
    NEW_SERVES = "new serves"
    NEW_FAILS = "new fails"
    NEW_GONE = "new gone"
    OLD_GONE = "old gone"
    DEADLINE = "deadline"


class Timer(StrEnum):
    """The deadline of the driver that runs from here on."""

    START = "start"
    PROVE = "prove"
    SOAK = "soak"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Signal:
    """Signal one of the two masters."""

    who: Who
    name: SignalName


@dataclass(frozen=True, slots=True)
class Arm:
    """Start this deadline; the one before is over."""

    timer: Timer


Command = Signal | Arm

FINAL: Final = frozenset({State.DONE, State.NOT_STARTED, State.UNDONE})
"""Nothing happens after these."""

_END_NEW: Final[tuple[Command, ...]] = (Signal("new", "QUIT"), Arm(Timer.LEAVE))
_UNDO: Final[tuple[Command, ...]] = (Signal("old", "HUP"), *_END_NEW)
_SOAK: Final[tuple[Command, ...]] = (Signal("old", "WINCH"), Arm(Timer.SOAK))

TABLE: Final[Mapping[tuple[State, Event], tuple[State, tuple[Command, ...]]]] = {
    (State.IDLE, Event.BEGIN): (State.STARTING, (Signal("old", "USR2"), Arm(Timer.START))),
    # Two masters run and the process that began the upgrade is gone: prove the new one again.
    (State.IDLE, Event.RESUME): (State.PROVING, (Arm(Timer.PROVE),)),
    (State.IDLE, Event.RESUME_ALONE): (State.PROVING_ALONE, (Arm(Timer.PROVE),)),
    (State.STARTING, Event.NEW_RUNS): (State.PROVING, (Arm(Timer.PROVE),)),
    (State.STARTING, Event.OLD_GONE): (State.NOT_STARTED, ()),
    # nginx has put the pid file back; the old one serves as before.
    (State.STARTING, Event.DEADLINE): (State.NOT_STARTED, ()),
    (State.PROVING, Event.NEW_SERVES): (State.SOAKING, _SOAK),
    (State.PROVING, Event.NEW_GONE): (State.UNDONE, ()),
    (State.PROVING, Event.DEADLINE): (State.UNDOING, _END_NEW),
    (State.PROVING, Event.OLD_GONE): (State.DONE, ()),
    (State.PROVING_ALONE, Event.NEW_SERVES): (State.SOAKING, _SOAK),
    # After WINCH the old master starts workers by itself when the new binary ends.
    (State.PROVING_ALONE, Event.NEW_GONE): (State.UNDONE, ()),
    (State.PROVING_ALONE, Event.DEADLINE): (State.UNDOING, _UNDO),
    (State.PROVING_ALONE, Event.OLD_GONE): (State.DONE, ()),
    (State.SOAKING, Event.NEW_FAILS): (State.UNDOING, _UNDO),
    (State.SOAKING, Event.NEW_GONE): (State.UNDONE, ()),
    (State.SOAKING, Event.DEADLINE): (State.LEAVING, (Signal("old", "QUIT"), Arm(Timer.LEAVE))),
    (State.SOAKING, Event.OLD_GONE): (State.DONE, ()),
    (State.LEAVING, Event.OLD_GONE): (State.DONE, ()),
    # Its workers still have connections; their time is over.
    (State.LEAVING, Event.DEADLINE): (State.LEAVING, (Signal("old", "TERM"), Arm(Timer.LEAVE))),
    (State.UNDOING, Event.NEW_GONE): (State.UNDONE, ()),
    (State.UNDOING, Event.OLD_GONE): (State.DONE, ()),
    (State.UNDOING, Event.DEADLINE): (State.UNDOING, (Signal("new", "TERM"), Arm(Timer.LEAVE))),
}
"""Every step; an event without an entry changes nothing."""


class Machine:
    """One upgrade."""

    def __init__(self) -> None:
        self.state = State.IDLE

    def handle(self, event: Event) -> tuple[Command, ...]:
        """Returns the commands that follow an event; () for one without meaning here."""
        self.state, commands = TABLE.get((self.state, event), (self.state, ()))
        return commands
