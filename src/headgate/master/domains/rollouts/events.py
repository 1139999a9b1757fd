"""The events that a rollout is told and the commands that it gives."""

from dataclasses import dataclass
from typing import Literal

from headgate.master.domains.rollouts.gates import Sample

Verb = Literal["pause", "promote", "abort", "undo"]


@dataclass(frozen=True, slots=True)
class AgentView:
    """The master's knowledge of one agent.

    `seen_at` is when its newest data came, by the master's clock; `acknowledged` the revision
    that it took up last; `refused` the one that it refused or rolled back last, at `refused_at`,
    because of `error`. `failing_since`: since when its control process fails at each start; None:
    it does not. `quarantined`: why it serves its revision without some of its objects.
    `program`: the version of headgate that it runs.
    """

    agent: str
    is_connected: bool
    seen_at: float
    desired: int | None = None
    serving: int | None = None
    acknowledged: int | None = None
    refused: int | None = None
    refused_at: float = 0.0
    error: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    zone: str = ""
    quarantined: str = ""
    program: str = ""
    failing_since: float | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """No other rollout of the fleet is under way: this one may begin.

    `base` is the revision that the fleet ended its last rollout with; None before the first one.
    `approvals`: how many the fleet asks for now.
    """

    base: int | None
    approvals: int = 0


@dataclass(frozen=True, slots=True)
class Resumed:
    """A driver takes the rollout over, after a start or from another master; it has looked at
    rollouts for `since_s`."""

    since_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """The whole fleet as the master knows it, at `at`; `frozen` is the reason of a freeze. `unable`
    are the agents that a rollout of a program leaves out: they cannot upgrade."""

    at: float
    agents: tuple[AgentView, ...]
    frozen: str = ""
    unable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """The answer to `Measure`, taken at `at`; `wave` and `clock_s` are those of the question.

    `silent`: the agents of the wave of which there is no fresh data; `elsewhere`: those of them
    that have their session with another master.
    """

    wave: int
    clock_s: float
    at: float
    sample: Sample
    control: Sample
    silent: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """A person's order for the rollout."""

    verb: Verb
    by: str


@dataclass(frozen=True, slots=True)
class Approve:
    """A person approves the rollout; `approvals`: how many the fleet asks for now, `by_id`: the id
    of the person."""

    by: str
    approvals: int = 0
    by_id: str = ""


@dataclass(frozen=True, slots=True)
class Supersede:
    """A newer revision, or a program, takes the fleet over. `is_lost`: what the rollout goes back
    to is gone, so that it never ends."""

    revision: int
    by: str
    program: str = ""
    is_lost: bool = False


Event = Begin | Resumed | Look | Measured | Order | Approve | Supersede


@dataclass(frozen=True, slots=True)
class Serve:
    """Make `revision` what these agents are to serve; repeating it changes nothing."""

    revision: int
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """Measure the agents of a wave and its control over the last `seconds`; answer `Measured`.
    Data that is older than `stale_s` is not fresh.

    Without control agents the control is the wave itself in the hour before `before_at`.
    """

    wave: int
    clock_s: float
    agents: tuple[str, ...]
    control: tuple[str, ...]
    seconds: float
    before_at: float
    stale_s: float


@dataclass(frozen=True, slots=True)
class Settle:
    """Make `revision` what the fleet serves: agents that join or come back get it."""

    revision: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """Tell people."""

    text: str


Command = Serve | Measure | Settle | Alarm
