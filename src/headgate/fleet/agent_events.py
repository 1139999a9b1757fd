"""The events of an agent's session, and the commands that it gives. A `job` numbers the offers that
the agent works on; a driver passes it back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from headgate.fleet.drift import Drift
from headgate.fleet.frames import (
    AgentFrame,
    Fault,
    Instance,
    Latency,
    MasterFrame,
    Notice,
    Offer,
    Phase,
    UpgradeEnded,
    Version,
    Want,
)
from headgate.fleet.manifest import Manifest
from headgate.fleet.orders import OrderBody, Upgrade
from headgate.fleet.searches import LogLines


@dataclass(frozen=True, slots=True)
class Start:
    """The agent begins: dial at once."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The carrier is up; over WebSocket it has the challenge and puts the proof into Hello."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """Dialling failed, or the carrier ended."""

    why: str


@dataclass(frozen=True, slots=True)
class Received:
    """A frame of the master came."""

    frame: MasterFrame


@dataclass(frozen=True, slots=True)
class Missing:
    """The answer to FindMissing: what is not on disk yet, and from which offset on."""

    job: int
    wants: tuple[Want, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """A blob is complete. `is_good`: its bytes have the hash it was asked for by; if not, the
    driver has removed them."""

    sha256: str
    is_good: bool


@dataclass(frozen=True, slots=True)
class DiskFailed:
    """The disk did not do FindMissing of `job`, or Store of `sha256`."""

    why: str
    job: int = 0
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an Apply. The last phase is SERVING, ROLLED_BACK or REJECTED."""

    job: int
    phase: Phase
    warnings: tuple[str, ...] = ()
    fault: Fault | None = None
    effective_hash: str = ""


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something changed without an offer: the engine fell back, a heal failed."""

    version: Version
    phase: Phase
    fault: Fault | None = None
    effective_hash: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """The node's figures for the heartbeats to come, looked at just now."""

    figures: Mapping[str, float] = field(default_factory=dict)
    latency: Latency | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """The findings about the engines that the agent drives."""

    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True)
class Happened:
    """The node noticed something that its master is to know."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class Obeyed:
    """An order to upgrade has ended, or came again after its end."""

    ended: UpgradeEnded


@dataclass(frozen=True, slots=True)
class Drifted:
    """The nginx differs in another way from what the node applied, or not any more."""

    drift: Drift


@dataclass(frozen=True, slots=True)
class Searched:
    """The answer to a search of logs, whole."""

    answer: LogLines


@dataclass(frozen=True, slots=True)
class Redial:
    """End this connection and make a new one, with a renewed certificate for instance."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the session for good."""


@dataclass(frozen=True, slots=True)
class Tick:
    """`deadline()` has come."""


Event: TypeAlias = (
    Start
    | Connected
    | Disconnected
    | Received
    | Missing
    | Stored
    | DiskFailed
    | Progress
    | Noticed
    | Summary
    | Described
    | Happened
    | Obeyed
    | Drifted
    | Searched
    | Redial
    | Stop
    | Tick
)


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect, and say Connected or Disconnected."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame."""

    frame: AgentFrame


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the carrier; what comes from it later counts no more, Disconnected included."""

    why: str


@dataclass(frozen=True, slots=True)
class Renew:
    """Renew the agent's certificate at a random moment of this time."""

    within_s: float


@dataclass(frozen=True, slots=True)
class GoOver:
    """Obey the master's order to upgrade, unless that was done before."""

    upgrade: Upgrade


@dataclass(frozen=True, slots=True)
class CarryOut:
    """Do what the master ordered; the order is verified."""

    order: OrderBody


@dataclass(frozen=True, slots=True)
class FindMissing:
    """Say with Missing which blobs of the manifest are not on disk; if it cannot be
    said, DiskFailed."""

    job: int
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Store:
    """Write these bytes of a blob at `offset`; once it has `total` bytes, verify its hash and say
    Stored; if they cannot be written, DiskFailed."""

    sha256: str
    offset: int
    total: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Apply:
    """Bring the node to this manifest, all of whose blobs are on disk; say how far with Progress.
    None else comes before the last Progress."""

    job: int
    manifest: Manifest
    offer: Offer


Command: TypeAlias = Dial | Send | HangUp | Renew | GoOver | CarryOut | FindMissing | Store | Apply
