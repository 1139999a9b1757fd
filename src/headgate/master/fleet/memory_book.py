"""A `FleetBook` in memory: for `headgate dev` and tests. One fleet; nothing survives but the
authorities that it is given."""

import datetime as dt
import secrets
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headgate.certificates.rotation import Authorities, Revocations
from headgate.fleet.frames import Heartbeat, Hello, Notice, Notices, Phase, Version
from headgate.fleet.manifest import address, manifest_of
from headgate.fleet.master_events import AgentReport, Desired, Orders
from headgate.fleet.signing import Bind, sign_manifest
from headgate.kernel.errors import Invalid
from headgate.master.fleet.book import AgentFacts, AgentRecord, Enrolled, EnrolmentRefusedError


@dataclass
class MemoryAgent:
    """The book's record of an agent. `at`: when it was in each phase of the newest revision, in
    monotonic seconds."""

    facts: AgentFacts
    hello: Hello | None = None
    beat: Heartbeat | None = None
    report: AgentReport | None = None
    at: dict[Phase, float] = field(default_factory=dict)
    notices: deque[Notice] = field(default_factory=lambda: deque(maxlen=256))
    revision: int = 0
    reports: int = 0
    is_connected: bool = False


class MemoryBook:
    """Everything of one fleet."""

    def __init__(
        self,
        authorities: Authorities,
        scope: str = "fleet",
        *,
        key: Ed25519PrivateKey | None = None,
        adopts: bool = False,
    ) -> None:
        """`key` signs manifests; `adopts`: agents are known by a valid certificate alone, as after
        a restart, which forgets them."""
        self.authorities = authorities
        self.revocations = Revocations()
        self.agents: dict[str, MemoryAgent] = {}
        self.wanted: Desired | None = None
        self.published_at = 0.0
        """The time when the newest revision was published, in monotonic seconds."""
        self._scope = scope
        self._adopts = adopts
        self._key = key or Ed25519PrivateKey.generate()
        self._tokens: dict[str, int] = {}
        self._blobs: dict[str, bytes] = {}
        self._fences: dict[str, int] = {}
        self._fence = time.time_ns() // 1000

    def trusted(self) -> list[x509.Certificate]:
        """Returns the certificates that count."""
        return [one.certificate for one in self.authorities.listed]

    @property
    def wanted_revision(self) -> int:
        """The revision that every agent must serve; 0: none."""
        return self.wanted.version.revision if self.wanted else 0

    def token(self, uses: int = 1) -> str:
        """Returns a new join token."""
        token = secrets.token_urlsafe(32)
        self._tokens[token] = uses
        return token

    def publish(self, files: Mapping[str, bytes]) -> Version:
        """Makes these files what every agent must serve; the caller wakes them. Raises Invalid."""
        revision = self.wanted.version.revision + 1 if self.wanted else 1
        text = manifest_of(self._scope, revision, files).canonical()
        version = Version(revision, address(text))
        self._blobs = {address(body): body for body in files.values()}
        self.published_at = time.monotonic()
        signature = sign_manifest(self._key, text)
        self.wanted = Desired(self._scope, version, text, signature, self._key.sign)
        return version

    async def enrol(self, token: str, csr_pem: bytes, facts: AgentFacts, address: str) -> Enrolled:
        """See FleetBook."""
        left = self._tokens.get(token, 0)
        if left < 1:
            raise EnrolmentRefusedError("unknown", f"this token is not valid (from {address})")
        agent = f"agent-{secrets.token_hex(8)}"
        enrolled = self._issued(agent, csr_pem)
        self._tokens[token] = left - 1
        self.agents[agent] = MemoryAgent(facts)
        return enrolled

    async def renew(self, agent_id: str, csr_pem: bytes) -> Enrolled:
        """See FleetBook."""
        return self._issued(agent_id, csr_pem)

    async def rejoin(
        self, agent_id: str, csr_pem: bytes, address: str, expired: dt.datetime
    ) -> Enrolled:
        """See FleetBook. This one takes nobody back."""
        del agent_id, csr_pem, address
        raise EnrolmentRefusedError("certificate", f"the certificate expired at {expired}")

    async def identify(self, agent_id: str, certificate_serial: str) -> AgentRecord | None:
        """See FleetBook."""
        if self.revocations.is_revoked(agent_id, certificate_serial):
            return None
        if self._adopts:
            self.agents.setdefault(agent_id, MemoryAgent(AgentFacts("", "")))
        return AgentRecord(agent_id, agent_id, self._scope) if agent_id in self.agents else None

    async def joined(self, agent_id: str, hello: Hello, address: str) -> int:
        """See FleetBook."""
        del address
        self.agents[agent_id].hello = hello
        self.agents[agent_id].is_connected = True
        self._fence = max(self._fence + 1, time.time_ns() // 1000)
        self._fences[agent_id] = self._fence
        return self._fence

    async def left(self, agent_id: str, fence: int) -> None:
        """See FleetBook."""
        if fence == self._fences.get(agent_id):
            self.agents[agent_id].is_connected = False

    async def desired(self, agent_id: str) -> Desired | None:
        """See FleetBook."""
        return self.wanted if agent_id in self.agents else None

    async def orders(self, agent_id: str) -> Orders | None:
        """See FleetBook. This one orders nothing."""
        del agent_id
        return None

    async def bind(self) -> Bind:
        """See FleetBook."""
        return self._key.sign

    async def blobs(self, agent_id: str, hashes: Iterable[str]) -> dict[str, bytes]:
        """See FleetBook."""
        if agent_id not in self.agents:
            return {}
        return {one: self._blobs[one] for one in hashes if one in self._blobs}

    def reported(self, agent_id: str, fence: int, report: AgentReport) -> None:
        """See FleetBook."""
        del fence
        agent = self.agents[agent_id]
        agent.report = report
        agent.reports += 1
        if report.version.revision != agent.revision:
            agent.revision, agent.at = report.version.revision, {}
        agent.at.setdefault(report.phase, time.monotonic())

    async def noticed(self, agent_id: str, notices: Notices) -> None:
        """See FleetBook."""
        self.agents[agent_id].notices.extend(notices.notices)

    def beaten(self, agent_id: str, fence: int, beat: Heartbeat) -> None:
        """See FleetBook."""
        del fence
        self.agents[agent_id].beat = beat

    async def seen(self, agent_id: str, beat: Heartbeat) -> None:
        """See FleetBook."""
        self.agents[agent_id].beat = beat

    def _issued(self, agent: str, csr_pem: bytes) -> Enrolled:
        try:
            now = dt.datetime.now(dt.UTC)
            certificate = self.authorities.issuer.client(csr_pem, agent, now)
        except Invalid as error:
            raise EnrolmentRefusedError("csr", str(error)) from None
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return Enrolled(agent, certificate, self.authorities.pem, (raw,))
