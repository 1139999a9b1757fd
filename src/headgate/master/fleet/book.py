"""The port between the agents' streams and what a master knows: who an agent is, what it must
serve, how far it is."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from headgate.fleet.frames import Heartbeat, Hello, Notices
from headgate.fleet.master_events import AgentReport, Desired, Orders
from headgate.fleet.signing import Bind


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """The facts that a node states about itself when it enrols."""

    hostname: str
    program: str
    """The version of headgate."""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The answer to a join token: the node's identity and what it must trust from then on."""

    agent: str
    certificate_pem: bytes
    """The client certificate, of the public key in the CSR."""
    authorities_pem: bytes
    """The fleet's CAs, two during a rotation: whom the agent trusts as a master."""
    manifest_keys: tuple[bytes, ...]
    """Raw Ed25519 public keys that sign manifests."""


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent that may connect."""

    agent: str
    name: str
    fleet: str


class EnrolmentRefusedError(Exception):
    """The token or the request is not accepted. `code` is a word for programs: unknown, expired,
    used-up, revoked, address, csr, live, approval; the text says no more than its holder may
    know."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class UnavailableError(Exception):
    """The book cannot be read or written now; agents stay connected and ask again."""


class FleetBook(Protocol):
    """The streams' interface to the rest of the master. Every call may raise UnavailableError."""

    async def enrol(self, token: str, csr_pem: bytes, facts: AgentFacts, address: str) -> Enrolled:
        """Uses the token and issues a certificate; `address` is the caller's IP address.
        Raises EnrolmentRefusedError.
        """
        ...

    async def renew(self, agent_id: str, csr_pem: bytes) -> Enrolled:
        """Issues the next certificate of an agent that has proven to be `agent_id`.
        Raises EnrolmentRefusedError.
        """
        ...

    async def rejoin(
        self, agent_id: str, csr_pem: bytes, address: str, expired: dt.datetime
    ) -> Enrolled:
        """The same for an agent whose certificate ended at `expired`, and that has proven to have
        its key. Raises EnrolmentRefusedError.
        """
        ...

    async def identify(self, agent_id: str, certificate_serial: str) -> AgentRecord | None:
        """Returns the agent; None if it is unknown or revoked, or if this certificate (serial in
        lower-case hex) is."""
        ...

    async def joined(self, agent_id: str, hello: Hello, address: str) -> int:
        """Keeps what the agent says of itself. Returns the fence of its session, greater than
        every one before for this agent, over restarts of the master too."""
        ...

    async def left(self, agent_id: str, fence: int) -> None:
        """The session with this fence has ended."""
        ...

    async def desired(self, agent_id: str) -> Desired | None:
        """Returns what the agent must serve; None: nothing yet."""
        ...

    async def orders(self, agent_id: str) -> Orders | None:
        """Returns what the agent is ordered beside its revision; None: it never was. It is asked
        for right after `desired`."""
        ...

    async def bind(self) -> Bind:
        """Returns what signs orders to agents."""
        ...

    async def blobs(self, agent_id: str, hashes: Iterable[str]) -> dict[str, bytes]:
        """Returns the contents at these addresses that there are. It is asked for only what a
        manifest names that `desired` returned for this agent."""
        ...

    def reported(self, agent_id: str, fence: int, report: AgentReport) -> None:
        """Keeps soon how far the agent of the session with this fence is; OFFERED too, which the
        stream says of itself. Does not fail: it is tried again while the book cannot be written,
        until that session has ended."""
        ...

    async def noticed(self, agent_id: str, notices: Notices) -> None:
        """Tells whoever watches what the agent noticed by itself."""
        ...

    def beaten(self, agent_id: str, fence: int, beat: Heartbeat) -> None:
        """The agent was there, with these figures; kept as what was reported is."""
        ...

    async def seen(self, agent_id: str, beat: Heartbeat) -> None:
        """The same of a heartbeat that says what an agent says only once."""
        ...
