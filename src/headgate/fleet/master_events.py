"""The events of a master's session with one agent, and the commands that it gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from headgate.fleet.frames import (
    AgentFrame,
    Fault,
    Heartbeat,
    Held,
    Hello,
    MasterFrame,
    Notices,
    Phase,
    Version,
)
from headgate.fleet.manifest import Manifest
from headgate.fleet.orders import OrderBody, Upgrade
from headgate.fleet.searches import LogLines, LogSearch
from headgate.fleet.signing import Bind

Changes: TypeAlias = Callable[[str], bytes | None]


def nothing_known(base: str) -> bytes | None:
    """Knows no manifest: everything is sent complete."""
    del base
    return None


Contents: TypeAlias = Callable[[str], bytes]


def nothing_sent(base: str) -> bytes:
    """Sends no contents along with an offer: the agent fetches them."""
    del base
    return b""


@dataclass(frozen=True, slots=True)
class Desired:
    """The revision that an agent must serve. `manifest` is canonical, `signature` is of it; one
    object of bytes for all agents that want the same costs least. `within_s`: applying begins
    within that time, or not at all; 0: no limit. `bind` signs its offers, each one for one agent
    and session."""

    scope: str
    version: Version
    manifest: bytes
    signature: bytes
    bind: Bind
    rollout: str = ""
    wave: int = 0
    within_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders to an agent beside its revision; `bind` signs each order for one session."""

    bodies: tuple[OrderBody, ...]
    bind: Bind


@dataclass(frozen=True, slots=True)
class AgentReport:
    """The progress of an agent with a version, as the book keeps it. `held` has what the agent
    acknowledged, applied and serves."""

    scope: str
    version: Version
    phase: Phase
    held: Held
    warnings: tuple[str, ...] = ()
    fault: Fault | None = None
    effective_hash: str = ""
    rollout: str = ""
    wave: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """A frame of the agent came."""

    frame: AgentFrame


@dataclass(frozen=True, slots=True)
class Joined:
    """The answer to Join. `fence` is above every one before of this agent."""

    fence: int


@dataclass(frozen=True, slots=True)
class DesiredIs:
    """The answer to AskDesired. `listed` is its manifest, read; `changes` returns what makes it of
    the manifest with this hash, None if that is not known any more, and `contents` what an offer
    brings along for an agent that serves that one ("": none). `orders` None: it was never ordered
    anything."""

    desired: Desired | None
    listed: Manifest | None
    changes: Changes = nothing_known
    orders: Orders | None = None
    contents: Contents = nothing_sent


@dataclass(frozen=True, slots=True)
class BindIs:
    """The answer to AskBind: what signs an order for one session."""

    bind: Bind


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to FindBlobs: contents by hash; absent: not there."""

    blobs: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Woken:
    """The revision that the agent must serve may be another one now."""


@dataclass(frozen=True, slots=True)
class Outdated:
    """The agent's certificate, or whom it trusts, is not what it should be; it is to renew within
    this time."""

    renew_within_s: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """The agent is to run another program."""

    upgrade: Upgrade


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody waits for what the agent answers to this search."""

    search: LogSearch
    bind: Bind


@dataclass(frozen=True, slots=True)
class Cut:
    """End the session and say why."""

    code: str
    text: str
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Tick:
    """`deadline()` has come."""


Event: TypeAlias = (
    Received | Joined | DesiredIs | BindIs | Found | Woken | Outdated | Wanted | Asked | Cut | Tick
)


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame; `cost` is what the budget of bytes pays for it."""

    frame: MasterFrame
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Join:
    """Check that the agent may come in and what it says of itself; say Joined, or Cut."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class AskDesired:
    """Say DesiredIs."""


@dataclass(frozen=True, slots=True)
class AskBind:
    """Say BindIs. The session asks for no other before that."""


@dataclass(frozen=True, slots=True)
class FindBlobs:
    """Say Found. The session asks for no other before that."""

    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """The agent is this far."""

    report: AgentReport


@dataclass(frozen=True, slots=True)
class Tell:
    """The agent noticed something by itself."""

    notices: Notices


@dataclass(frozen=True, slots=True)
class Answered:
    """The agent answered a search, or a part of it."""

    lines: LogLines


@dataclass(frozen=True, slots=True)
class Seen:
    """The agent is there."""

    beat: Heartbeat


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the carrier, after what was sent."""

    why: str


Command: TypeAlias = (
    Send | Join | AskDesired | AskBind | FindBlobs | Record | Tell | Answered | Seen | HangUp
)
