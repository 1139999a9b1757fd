"""The messages of agents and masters, as types. `codec` makes bytes of them;
proto/headgate/v1/fleet.proto says what each means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from headgate.fleet.drift import Drift
from headgate.fleet.orders import Order, Upgrade
from headgate.fleet.searches import LogLines

OLDEST_PROTOCOL = 1
NEWEST_PROTOCOL = 2
NOTICES_PROTOCOL = 2
"""The oldest protocol in which agents tell what they noticed."""


class Phase(Enum):
    """The progress of an agent with an offer; OFFERED is the master's own word and never sent."""

    OFFERED = 0
    RECEIVED = 1
    VALIDATED = 2
    APPLIED = 3
    SERVING = 4
    ROLLED_BACK = 5
    REJECTED = 6

    @property
    def is_final(self) -> bool:
        """Nothing of this offer follows."""
        return self in (Phase.SERVING, Phase.ROLLED_BACK, Phase.REJECTED)


@dataclass(frozen=True, slots=True)
class Version:
    """One revision of a scope and the hash of its manifest."""

    revision: int
    hash: str


@dataclass(frozen=True, slots=True)
class Held:
    """The versions that an agent has of its scope's config."""

    scope: str = ""
    acknowledged: Version | None = None
    applied: Version | None = None
    serving: Version | None = None
    refused: Version | None = None
    """Refused for good."""
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class Instance:
    """One engine that an agent drives."""

    name: str
    engine: str
    version: str
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason for a refusal, with the object, file and line at fault. `line` 0: unknown."""

    code: str
    text: str
    is_transient: bool = False
    object: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Proof:
    """An agent's answer to a challenge, with its certificate."""

    certificate_pem: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """The masters that an agent trusts (pins of CAs), and the serial number of its certificate."""

    authorities: tuple[str, ...]
    certificate: str


@dataclass(frozen=True, slots=True)
class UpgradeEnded:
    """The end of an order. `text` says why it failed; empty: the node runs the program."""

    order: int
    program: str
    text: str


FAILING_STARTS: Final = 3
"""So many starts in a row that did not last make an agent one that fails at each start."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The agent's first word."""

    agent: str
    epoch: int
    program: str
    instances: tuple[Instance, ...] = ()
    held: Held = Held()
    last_fault: Fault | None = None
    clock_ms: int = 0
    proof: Proof | None = None
    identity: Identity | None = None
    """None: an agent of a version that does not say it."""
    oldest_protocol: int = OLDEST_PROTOCOL
    newest_protocol: int = NEWEST_PROTOCOL
    fault_of: Version | None = None
    """The revision that `last_fault` is about; None: an agent of a version that does not say it."""
    can_upgrade: bool = False
    """True if it takes orders to upgrade; False also for an agent of a version that does not."""
    upgrade_ended: UpgradeEnded | None = None
    orders: tuple[str, ...] = ()
    """The orders that it takes, in words of `headgate.fleet.orders`; none: an older agent."""
    failed_starts: int = 0
    """Starts of its control process in a row, before this one, that did not last."""


@dataclass(frozen=True, slots=True)
class SeenCertificate:
    """A certificate that a node serves with. `name`: of the object of its config."""

    name: str
    names: tuple[str, ...]
    issuer: str
    fingerprint: str
    not_after_ms: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """The certificates that a node serves with; of `total` the first ones are listed."""

    total: int = 0
    certificates: tuple[SeenCertificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Latency:
    """The times of answers since the engine began: how many took longer than the bound before and
    at most this one (seconds, rising). `counts` has one more, for what is above every bound."""

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The agent is there, and this is what it has."""

    held: Held
    wants_answer: bool = False
    clock_ms: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)
    identity: Identity | None = None
    inventory: Inventory | None = None
    """None: as it was said before."""
    instances: tuple[Instance, ...] = ()
    """Empty: as they were said before."""
    latency: Latency | None = None
    """None: the engine did not say it, or the agent is of a version that does not."""
    figures_age_ms: int = 0
    """The time since `figures` and `latency` were looked at; 0: not said."""
    upgrade_ended: UpgradeEnded | None = None
    """None: as it was said before."""
    drift: Drift | None = None
    """None: as it was said before, or an engine that has none."""

    @property
    def says_news(self) -> bool:
        """True if it says something that no heartbeat after it repeats."""
        news = (self.inventory, self.upgrade_ended, self.drift)
        return bool(self.instances) or any(one is not None for one in news)


@dataclass(frozen=True, slots=True)
class Want:
    """A blob from this offset on."""

    sha256: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Fetch:
    """The agent asks for blobs."""

    wants: tuple[Want, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The progress of an offer. `nonce` 0: of none; the agent speaks of what happened by itself."""

    nonce: int
    scope: str
    version: Version
    phase: Phase
    held: Held
    warnings: tuple[str, ...] = ()
    fault: Fault | None = None
    effective_hash: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that an agent noticed by itself. `count`: how many like it this one stands for."""

    level: str
    kind: str
    object: str
    text: str
    at_ms: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class Notices:
    """The notices of an agent; `dropped` older ones were never told."""

    notices: tuple[Notice, ...]
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Challenge:
    """Random bytes that the agent signs; the master's first word over WebSocket."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class Welcome:
    """The answer to Hello."""

    protocol: int
    heartbeat_s: float
    chunk_bytes: int
    clock_ms: int = 0


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a heartbeat that wants one, or a wish: the agent's certificate is to be renewed
    within this time (0: it is good as it is), or its program is to be another one (for an agent
    that does not take that as a signed order)."""

    renew_within_s: float = 0.0
    upgrade: Upgrade | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A revision to serve. `base` "": `manifest` is complete, else changes to that manifest.
    `binding` binds it to the agent, the session and the nonce; older masters leave it empty.
    `contents`: the bytes of Chunks, files that the base does not have, as far as they fit."""

    nonce: int
    scope: str
    version: Version
    manifest: bytes
    signature: bytes
    base: str = ""
    rollout: str = ""
    wave: int = 0
    within_s: float = 0.0
    binding: bytes = b""
    contents: bytes = b""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes of a blob of `total` bytes."""

    sha256: str
    offset: int
    total: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Chunks:
    """The answer to Fetch; the agent asks again for what is missing in it."""

    chunks: tuple[Chunk, ...]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The master ends the session; `code` is a word for programs."""

    code: str
    text: str
    retry_after_s: float = 0.0


AgentBody: TypeAlias = Hello | Heartbeat | Fetch | Report | Notices | LogLines
MasterBody: TypeAlias = Challenge | Welcome | Beat | Offer | Chunks | Order | Goodbye


@dataclass(frozen=True, slots=True)
class AgentFrame:
    """A frame of an agent; receivers drop it if its fence is not the session's, or its sequence is
    not above that of the last one."""

    fence: int
    sequence: int
    body: AgentBody


@dataclass(frozen=True, slots=True)
class MasterFrame:
    """The same from the master."""

    fence: int
    sequence: int
    body: MasterBody
