"""The state of a rollout and its JSON form. Pure; `machine.handle` alone makes new states."""

from typing import Final, Literal

import msgspec

from headgate.kernel.errors import Invalid
from headgate.master.domains.rollouts.gates import Verdict
from headgate.master.domains.rollouts.spec import Spec

VERSION: Final = 1
_MAX_TIMELINE: Final = 1000

Phase = Literal[
    "queued",
    "waiting",
    "rolling",
    "undoing",
    "succeeded",
    "undone",
    "aborted",
    "superseded",
    "failed",
]
ENDED: Final = frozenset({"succeeded", "undone", "aborted", "superseded", "failed"})

Standing = Literal["unreached", "offered", "serving", "failed", "undoing", "restored"]


class Node(msgspec.Struct, frozen=True):
    """The standing of one agent.

    `desired` and `serving` are revisions, None where unknown; `wave` is the index of the wave
    that offered the revision. `waited_s` is how long it was connected without serving the
    revision, `relapses` how often it served it and went back. `served_at` is when it first served
    the revision after the offer of `offered_at`; earlier than that: not yet. `is_online`: it is
    connected and its data is fresh.
    """

    standing: Standing = "unreached"
    wave: int | None = None
    desired: int | None = None
    serving: int | None = None
    is_online: bool = False
    offered_at: float = 0.0
    served_at: float = 0.0
    waited_s: float = 0.0
    relapses: int = 0
    error: str = ""
    labels: dict[str, str] = {}
    zone: str = ""
    program: str = ""

    @property
    def is_reached(self) -> bool:
        """True if the rollout has offered it the revision."""
        return self.wave is not None


class WaveRecord(msgspec.Struct, frozen=True):
    """The record of one wave.

    `members` were chosen when it began, `pending` of them have no offer yet. `soak_clock` and
    `soak_at` say when the last connected member served the revision.
    """

    name: str
    members: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    began_at: float | None = None
    soak_clock: float | None = None
    soak_at: float = 0.0
    passed_at: float | None = None
    how: str = ""
    verdict: Verdict | None = None


class Hold(msgspec.Struct, frozen=True):
    """The reason why a rollout does not go on by itself, the time on its clock since which it does
    not, and whether it alarmed."""

    reason: str
    since_clock: float
    is_alarmed: bool = False


class Entry(msgspec.Struct, frozen=True):
    """One line of the timeline: when, what kind of event, what happened."""

    at: float
    kind: str
    text: str


class Approval(msgspec.Struct, frozen=True):
    """An approval of a rollout: by whom, and when."""

    by: str
    at: float


class Rollout(msgspec.Struct, frozen=True):
    """One rollout, whole: what a driver stores after each event.

    `clock_s` counts the time in which a driver looked at the fleet; it does not jump with the
    clock of the day. No wave begins or passes before `settled_clock`; a first one may, if no agent
    is away. `unable` are agents of the fleet that cannot upgrade; they are not among the nodes.
    """

    spec: Spec
    waves: tuple[WaveRecord, ...]
    phase: Phase = "queued"
    wave: int = 0
    is_paused: bool = False
    hold: Hold | None = None
    nodes: dict[str, Node] = {}
    approvals: tuple[Approval, ...] = ()
    reason: str = ""
    clock_s: float = 0.0
    settled_clock: float = 0.0
    ticked_at: float | None = None
    looked_at: float | None = None
    looked_clock: float = 0.0
    frozen: str = ""
    undo_clock: float = 0.0
    is_undo_alarmed: bool = False
    began_at: float | None = None
    ended_at: float | None = None
    timeline: tuple[Entry, ...] = ()
    unable: tuple[str, ...] = ()
    version: int = VERSION

    @property
    def has_ended(self) -> bool:
        """True if no command will follow, except after an order to undo."""
        return self.phase in ENDED

    @property
    def kept_base(self) -> int | None:
        """The revision that it can still be told to go back to after its end; None: there is none,
        or it goes back to programs."""
        spec = self.spec
        can_undo = self.phase == "succeeded" and not spec.is_urgent and not spec.is_of_program
        return spec.base if can_undo else None

    @property
    def held_since(self) -> float | None:
        """The time of the day since which it holds, without the time in which nobody looked; None
        if it does not hold."""
        if self.hold is None or self.ticked_at is None:
            return None
        return self.ticked_at - (self.clock_s - self.hold.since_clock)

    @property
    def open_wave(self) -> WaveRecord | None:
        """The wave under way; None between waves and outside `rolling`."""
        if self.phase != "rolling" or self.wave >= len(self.waves):
            return None
        record = self.waves[self.wave]
        return record if record.began_at is not None and record.passed_at is None else None


def status(state: Rollout) -> str:
    """Returns the one word that says what a rollout does now."""
    if state.phase != "rolling":
        return state.phase
    if state.is_paused:
        return "paused"
    if state.hold is not None:
        return "holding"
    wave = state.open_wave
    if state.frozen and state.spec.is_gated and (wave is None or wave.pending):
        return "frozen"
    return "soaking" if wave is not None and wave.soak_clock is not None else "rolling"


def encode(state: Rollout) -> bytes:
    """Returns the JSON form."""
    return msgspec.json.encode(state)


def decode(data: bytes) -> Rollout:
    """Returns the state of its JSON form; raises `Invalid` for another version or broken data."""
    try:
        version = msgspec.json.decode(data, type=_Versioned).version
        if version != VERSION:
            raise Invalid(
                f"the stored rollout has version {version}",
                f"run a master that knows it; this one knows version {VERSION}",
            )
        return msgspec.json.decode(data, type=Rollout)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"the stored rollout is broken: {error}", "restore the database") from error


def noted(timeline: tuple[Entry, ...], entry: Entry) -> tuple[Entry, ...]:
    """Returns the timeline with one more entry; it keeps the first and the newest ones."""
    longer = (*timeline, entry)
    return longer if len(longer) <= _MAX_TIMELINE else (longer[0], *longer[2:])


class _Versioned(msgspec.Struct):
    version: int = 0
