"""The rules of enrolment: who gets a certificate, for how long, and what is written down of it."""

import datetime as dt
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headgate.certificates.authority import csr_key, pin
from headgate.certificates.identity import serial_of
from headgate.fleet.orders import NODE
from headgate.kernel.errors import Invalid
from headgate.master.api.rates import Rates
from headgate.master.domains.agents import store as agents
from headgate.master.domains.audit.store import Event, record
from headgate.master.domains.enrolment.authority import FleetAuthority
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.join_tokens import service as join_tokens
from headgate.master.domains.join_tokens import store as tokens
from headgate.master.domains.join_tokens.store import JoinTokenRow
from headgate.master.domains.revisions.signing import public_keys
from headgate.master.domains.sessions.shared import SharedThrottle
from headgate.master.domains.sessions.throttle import ADDRESS, network_of
from headgate.master.fleet.book import AgentFacts, Enrolled, EnrolmentRefusedError
from headgate.master.ids import Clock, new_id
from headgate.master.store.database import Database
from headgate.master.store.errors import QuotaError
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

REJOINS_FOR: Final = dt.timedelta(days=30)
"""The time after the end of its certificate in which an agent comes back without approval."""
RENEWALS_PER_MINUTE: Final = 10
"""Certificates that an agent or a data plane gets: each is a line of the audit log."""
HOUR_MS: Final = 3_600_000
_MOST_TOKEN: Final = 512
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """An enrolment that was read."""

    secret: str
    csr_pem: bytes
    key_hash: str
    facts: AgentFacts
    address: str
    now_ms: int


class Enroller:
    """Makes nodes agents."""

    def __init__(
        self, database: Database, clock: Clock, authority: FleetAuthority, throttle: SharedThrottle
    ) -> None:
        self._database = database
        self._clock = clock
        self._authority = authority
        self._throttle = throttle
        self._renewals = Rates(clock)

    def require_pace(self, what: str, agent_id: str) -> None:
        """Raises EnrolmentRefusedError if who has proven to be this asks for certificates too
        often; without a line of the audit log."""
        if self._renewals.wait_ms(f"{what} {agent_id}", RENEWALS_PER_MINUTE):
            raise EnrolmentRefusedError(
                "throttled", f"certificates are renewed {RENEWALS_PER_MINUTE} times a minute; wait"
            )

    async def enrol(self, token: str, csr_pem: bytes, facts: AgentFacts, address: str) -> Enrolled:
        """Uses the token and issues a certificate; raises EnrolmentRefusedError."""
        return await self.admitted(token, csr_pem, facts, address, self._enrolled)

    async def admitted(
        self,
        token: str,
        csr_pem: bytes,
        facts: AgentFacts,
        address: str,
        work: Callable[[Transaction, Request], Awaitable[T]],
    ) -> T:
        """Returns what `work` makes of a token; refusals are counted and written down. Raises
        EnrolmentRefusedError."""
        keys = {ADDRESS: f"join {network_of(address)}"}
        if await self._throttle.wait_ms(keys):
            raise EnrolmentRefusedError("throttled", "too many wrong join tokens from here; wait")
        secret = token.partition(".")[0][:_MOST_TOKEN]
        now_ms = self._clock()
        try:
            # Before the token counts a use: a wrong request costs none.
            key_hash = key_hash_of(csr_pem)
            request = Request(secret, csr_pem, key_hash, facts, address, now_ms)
            return await self._database.write(MASTER, lambda tx: work(tx, request))
        except EnrolmentRefusedError as error:
            await self._throttle.failed(keys)
            await self._refused(secret, address, error)
            raise

    async def renew(self, agent_id: str, csr_pem: bytes) -> Enrolled:
        """Issues an agent's next certificate; raises EnrolmentRefusedError."""
        self.require_pace("agent", agent_id)
        key_hash = key_hash_of(csr_pem)
        now_ms = self._clock()

        async def work(tx: Transaction) -> Enrolled:
            row, life = await good_agent(tx, agent_id)
            expires_at = now_ms + life * HOUR_MS
            values: dict[str, object] = {
                "key_hash": key_hash,
                "certificate_expires_at": expires_at,
            }
            await agents.said(tx, agent_id, values)
            await record(tx, _renewal(row, "an agent renewed its certificate"), now_ms)
            return await self._issued(tx, agent_id, csr_pem, life)

        return await self._database.write(MASTER, work)

    async def rejoin(
        self, agent_id: str, csr_pem: bytes, address: str, expired: dt.datetime
    ) -> Enrolled:
        """Issues a certificate to an agent that was off when its last one expired, and that has
        proven to have its key; raises EnrolmentRefusedError."""
        # Apart from renewals: who has an old key only must not hold up the agent itself.
        self.require_pace("late agent", agent_id)
        key_hash = key_hash_of(csr_pem)
        now_ms = self._clock()

        async def work(tx: Transaction) -> Enrolled:
            row, life = await good_agent(tx, agent_id)
            why = late(row, address, expired, self._authority.now())
            if why is not None:
                raise why
            values: dict[str, object] = {
                "key_hash": key_hash,
                "certificate_expires_at": now_ms + life * HOUR_MS,
                "approved_until": None,
            }
            await agents.said(tx, agent_id, values)
            event = _renewal(row, "an agent came back by its old key", address)
            await record(tx, event, now_ms)
            return await self._issued(tx, agent_id, csr_pem, life)

        try:
            return await self._database.write(MASTER, work)
        except EnrolmentRefusedError as error:
            await self._late(agent_id, address, error)
            raise

    async def _late(self, agent_id: str, address: str, error: EnrolmentRefusedError) -> None:
        """Writes down who may not come back, and why."""

        async def work(tx: Transaction) -> None:
            row = await agents.find(tx, agent_id)
            if row is not None:
                what = f"an agent may not come back by its old key: {error.code}"
                await record(tx, _renewal(row, what, address, "refused"), self._clock())

        await self._database.write(MASTER, work)

    async def _enrolled(self, tx: Transaction, request: Request) -> Enrolled:
        token = await good_token(tx, request, is_of_data_plane=False)
        fleet = await fleets.find(tx, token.fleet, is_locked=True)
        if fleet is None:
            raise EnrolmentRefusedError("unknown", "this join token is not known here")
        # The answer to a first request may have been lost: the same key gets the same agent.
        before = await agents.of_key(tx, token.id, request.key_hash)
        if before is not None and before.revoked_at is None:
            agent_id = before.id
        else:
            agent_id = await _new_agent(tx, token, fleet, request)
        life = fleet.certificate_hours
        return await self._issued(tx, agent_id, request.csr_pem, life)

    async def _issued(self, tx: Transaction, agent_id: str, csr_pem: bytes, hours: int) -> Enrolled:
        authorities = await self._authority.kept(tx)
        life = dt.timedelta(hours=hours)
        certificate = authorities.issuer.client(csr_pem, agent_id, self._authority.now(), life)
        values: dict[str, object] = {
            "certificate_serial": serial_of(x509.load_pem_x509_certificate(certificate)),
            "certificate_issuer": pin(authorities.issuer.certificate),
        }
        await agents.said(tx, agent_id, values)
        return Enrolled(agent_id, certificate, authorities.pem, await public_keys(tx))

    async def _refused(self, secret: str, address: str, error: EnrolmentRefusedError) -> None:
        """Writes down who was refused; with a token's id, if there is such a token."""

        async def work(tx: Transaction) -> None:
            token = await join_tokens.held(tx, secret)
            event = Event(
                token.organisation_id if token else "",
                f"an enrolment was refused: {error.code}",
                object=token.id if token else "",
                workspace=token.workspace_id if token else "",
                address=address,
                outcome="refused",
            )
            await record(tx, event, self._clock())

        await self._database.write(MASTER, work)


async def good_token(tx: Transaction, request: Request, *, is_of_data_plane: bool) -> JoinTokenRow:
    """Returns the join token of a request, of that kind; raises EnrolmentRefusedError."""
    token = await join_tokens.held(tx, request.secret)
    if token is None:
        raise EnrolmentRefusedError("unknown", "this join token is not known here")
    refusal = join_tokens.refusal(token, request.address, request.now_ms)
    if refusal is not None:
        raise refusal
    if is_of_data_plane and token.data_plane_of is None:
        text = "this join token is for an agent; make one with `headgate tokens join --data-plane`"
        raise EnrolmentRefusedError("kind", text)
    if token.data_plane_of is not None and not is_of_data_plane:
        text = "this join token is for a data plane; give it to `headgate dataplane`"
        raise EnrolmentRefusedError("kind", text)
    return token


async def good_agent(tx: Transaction, agent_id: str) -> tuple[agents.AgentRow, int]:
    """Returns an agent and how many hours its certificates are good; raises
    EnrolmentRefusedError for one that is unknown or revoked."""
    row = await agents.find(tx, agent_id)
    fleet = None if row is None else await fleets.find(tx, row.fleet)
    if row is None or fleet is None or row.revoked_at is not None:
        raise EnrolmentRefusedError("revoked", "this agent is unknown or revoked")
    return row, fleet.certificate_hours


async def _new_agent(
    tx: Transaction, token: JoinTokenRow, fleet: fleets.FleetRow, request: Request
) -> str:
    if await agents.count(tx, fleet.id) >= fleet.most_agents:
        raise EnrolmentRefusedError("full", "the fleet has as many agents as its policy allows")
    if not await tokens.use(tx, token.id, request.now_ms):
        raise join_tokens.used_up()
    agent_id = new_id(request.now_ms)
    # What the token says of its holders counts more than what they say of themselves.
    labels = {**request.facts.labels, **json.loads(token.labels)}
    values: dict[str, object] = {
        "organisation_id": token.organisation_id,
        "workspace_id": token.workspace_id,
        "id": agent_id,
        "fleet": fleet.id,
        "name": request.facts.hostname[:255],
        "labels": json.dumps(labels, sort_keys=True),
        "token": token.id,
        "addresses": token.addresses,
        "key_hash": request.key_hash,
        "certificate_expires_at": request.now_ms + fleet.certificate_hours * HOUR_MS,
        "created_at": request.now_ms,
        "desired_id": fleet.revision_id,
        "desired": fleet.revision,
        "orders_at": None if fleet.drift == NODE else request.now_ms,
    }
    try:
        await agents.insert(tx, values)
    except QuotaError:
        what = "the workspace has as many agents as its quota allows"
        raise EnrolmentRefusedError("full", what) from None
    event = Event(
        token.organisation_id,
        "a node enrolled",
        object=token.id,
        workspace=token.workspace_id,
        actor=agent_id,
        actor_name=request.facts.hostname,
        address=request.address,
    )
    await record(tx, event, request.now_ms)
    return agent_id


def late(
    row: agents.AgentRow, address: str, expired: dt.datetime, now: dt.datetime
) -> EnrolmentRefusedError | None:
    """Returns why an agent may not come back by the key of a certificate that has expired; None: it
    may."""
    now_ms = int(now.timestamp() * 1_000)
    if row.is_here(now_ms):
        return EnrolmentRefusedError("live", "this agent is connected; two nodes have one identity")
    if row.approved_until is not None and now_ms < row.approved_until:
        return None
    allowed = "ask an administrator to approve the agent, or enrol anew with a join token"
    if now - expired > REJOINS_FOR:
        text = f"the certificate expired more than {REJOINS_FOR.days} days ago; {allowed}"
        return EnrolmentRefusedError("approval", text)
    if row.addresses is None or not join_tokens.is_allowed(row.addresses, address):
        text = f"this agent may not come back from {address}; {allowed}"
        return EnrolmentRefusedError("approval", text)
    return None


def _renewal(row: agents.AgentRow, what: str, address: str = "", outcome: str = "done") -> Event:
    return Event(
        row.organisation_id,
        what,
        workspace=row.workspace_id,
        actor=row.id,
        actor_name=row.name,
        address=address,
        outcome=outcome,
    )


def key_hash_of(csr_pem: bytes) -> str:
    """Returns the hash of a request's key, in hex; raises EnrolmentRefusedError."""
    try:
        key = csr_key(csr_pem)
    except Invalid as error:
        raise EnrolmentRefusedError("csr", str(error)) from None
    raw = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(raw).hexdigest()
