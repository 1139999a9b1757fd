"""The rules of data planes: whose token makes one, who stays one, and what either end of a control
link may know of the other."""

import datetime as dt
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from headgate.certificates.authority import (
    agent_of_certificate,
    data_plane_of_certificate,
    pin,
)
from headgate.certificates.identity import serial_of
from headgate.certificates.rotation import Authorities
from headgate.fleet.signing import challenge_is_answered
from headgate.kernel.errors import Invalid
from headgate.master.api.problems import not_found
from headgate.master.domains.agents import store as agents
from headgate.master.domains.audit.store import Event, record
from headgate.master.domains.data_planes import store
from headgate.master.domains.data_planes.store import DataPlaneRow
from headgate.master.domains.data_planes.types import EnrolledDataPlane, PeerAnswer
from headgate.master.domains.enrolment.authority import FleetAuthority
from headgate.master.domains.enrolment.service import (
    HOUR_MS,
    REJOINS_FOR,
    Enroller,
    Request,
    good_agent,
    good_token,
    key_hash_of,
)
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.join_tokens import service as join_tokens
from headgate.master.domains.join_tokens import store as tokens
from headgate.master.fleet.book import AgentFacts, EnrolmentRefusedError
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

_NOW_ANOTHER: Final = "this data plane was revoked, or another one has taken its place"


class DataPlanes:
    """Issues the certificates of data planes, and answers both ends of their control links."""

    def __init__(
        self, database: Database, clock: Clock, authority: FleetAuthority, enroller: Enroller
    ) -> None:
        self._database = database
        self._clock = clock
        self._authority = authority
        self._enroller = enroller

    async def enrol(
        self, token: str, csr_pem: bytes, facts: AgentFacts, address: str
    ) -> EnrolledDataPlane:
        """Uses a token and issues a certificate; raises EnrolmentRefusedError."""
        return await self._enroller.admitted(token, csr_pem, facts, address, self._enrolled)

    async def renew(
        self, certificate_pem: bytes, csr_pem: bytes, signature: bytes, address: str
    ) -> EnrolledDataPlane:
        """Issues the next certificate to the holder of the key of one that is good, or that has
        expired for at most 30 days; raises Invalid and EnrolmentRefusedError."""
        certificate = _read(certificate_pem)
        trusted = _listed(await self._authority.authorities())
        expired = certificate.not_valid_after_utc
        is_late = self._authority.now() > expired
        moment = expired if is_late else self._authority.now()
        agent_id = data_plane_of_certificate(certificate, trusted, moment)
        key = certificate.public_key()
        if agent_id is None or not isinstance(key, ec.EllipticCurvePublicKey):
            raise _unknown()
        if not challenge_is_answered(key, agent_id, csr_pem, signature):
            raise EnrolmentRefusedError("signature", "the certificate's key did not sign this CSR")
        if _hash(certificate) != key_hash_of(csr_pem):  # the control plane knows it by its key
            raise EnrolmentRefusedError("csr", "a data plane keeps its key: send a CSR of it")
        self._enroller.require_pace("data plane", agent_id)

        async def work(tx: Transaction) -> EnrolledDataPlane:
            agent, hours = await good_agent(tx, agent_id)
            row = await store.find(tx, agent_id)
            if row is None or row.key_hash != _hash(certificate):
                raise EnrolmentRefusedError("revoked", _NOW_ANOTHER)
            if is_late:
                _require_may_return(row, address, self._authority.now() - expired)
            await record(tx, _event(agent, "a data plane renewed", address), self._clock())
            return await self._issued(tx, agent_id, csr_pem, hours)

        return await self._database.write(MASTER, work)

    async def peer(self, certificate_pem: bytes) -> PeerAnswer:
        """Returns how the other end of the asker's control link is known; raises Invalid and
        EnrolmentRefusedError."""
        certificate = _read(certificate_pem)
        authorities = await self._authority.authorities()
        trusted, now = _listed(authorities), self._authority.now()
        agent_id = agent_of_certificate(certificate, trusted, now)
        plane_of = data_plane_of_certificate(certificate, trusted, now)
        asked = agent_id or plane_of
        if asked is None:
            raise _unknown()
        async with self._database.read(MASTER) as tx:
            agent, plane = await agents.find(tx, asked), await store.find(tx, asked)
        if plane_of is not None:
            if plane is None or plane.key_hash != _hash(certificate):
                raise EnrolmentRefusedError("revoked", _NOW_ANOTHER)
            await self._holds(plane, serial_of(certificate))
            is_good = agent is not None and agent.revoked_at is None
            key = agent.key_hash if agent is not None and is_good else ""
            revoked = (agent.revoked_serials or "").split() if agent is not None else []
            return _answer(authorities, certificate, key, revoked)
        if agent is None or agent.revoked_at is not None:
            raise EnrolmentRefusedError("revoked", "this agent is unknown or revoked")
        if serial_of(certificate) in (agent.revoked_serials or "").split():
            raise EnrolmentRefusedError("revoked", "this certificate was revoked")
        key = "" if plane is None else plane.key_hash
        return _answer(authorities, certificate, key, [])

    async def _holds(self, plane: DataPlaneRow, serial: str) -> None:
        """Keeps that a data plane has got its certificate: a rotation waits for that."""
        if plane.held_certificate != serial:
            values: dict[str, object] = {"held_certificate": serial}
            await self._database.write(MASTER, lambda tx: store.change(tx, plane.id, values))

    async def _enrolled(self, tx: Transaction, request: Request) -> EnrolledDataPlane:
        token = await good_token(tx, request, is_of_data_plane=True)
        agent, hours = await good_agent(tx, token.data_plane_of or "")
        await fleets.find(tx, agent.fleet, is_locked=True)  # one enrolment at a time
        before = await store.find(tx, agent.id)
        # The answer to a first request may have been lost: the same key does not count twice.
        if before is None or (before.token, before.key_hash) != (token.id, request.key_hash):
            if not await tokens.use(tx, token.id, request.now_ms):
                raise join_tokens.used_up()
            values: dict[str, object] = {
                "id": agent.id,
                "name": request.facts.hostname[:255],
                "program": request.facts.program[:64],
                "token": token.id,
                "addresses": token.addresses,
                "key_hash": request.key_hash,
                "certificate_serial": "",
                "certificate_issuer": "",
                "trusts": "",
                "certificate_expires_at": 0,
                "created_at": request.now_ms,
            }
            within = tx.within(Scope(agent.organisation_id, agent.workspace_id))
            await store.put(within, values)
            what = (
                "a data plane enrolled"
                if before is None
                else "a data plane took the place of another"
            )
            await record(tx, _event(agent, what, request.address), request.now_ms)
        return await self._issued(tx, agent.id, request.csr_pem, hours)

    async def _issued(
        self, tx: Transaction, agent_id: str, csr_pem: bytes, hours: int
    ) -> EnrolledDataPlane:
        authorities = await self._authority.kept(tx)
        life = dt.timedelta(hours=hours)
        issued = authorities.issuer.data_plane(csr_pem, agent_id, self._authority.now(), life)
        values: dict[str, object] = {
            "certificate_serial": serial_of(x509.load_pem_x509_certificate(issued)),
            "certificate_issuer": pin(authorities.issuer.certificate),
            "trusts": " ".join(pin(one) for one in _listed(authorities)),
            "certificate_expires_at": self._clock() + hours * HOUR_MS,
        }
        await store.change(tx, agent_id, values)
        return EnrolledDataPlane(
            agent=agent_id, certificate=issued.decode(), authorities=authorities.pem.decode()
        )


async def found(tx: Transaction, agent_id: str) -> DataPlaneRow:
    """Returns the data plane of an agent; raises ProblemError."""
    row = await store.find(tx, agent_id)
    if row is None:
        raise not_found("data plane of the agent", agent_id)
    return row


async def revoke(tx: Transaction, agent_id: str) -> None:
    """Ends the identity of an agent's data plane: it cannot renew, and the agent learns of it."""
    await found(tx, agent_id)
    await store.remove(tx, agent_id)


def _require_may_return(row: DataPlaneRow, address: str, over: dt.timedelta) -> None:
    allowed = "enrol anew with a join token of the data plane"
    if over > REJOINS_FOR:
        text = f"the certificate expired more than {REJOINS_FOR.days} days ago; {allowed}"
        raise EnrolmentRefusedError("approval", text)
    if not join_tokens.is_allowed(row.addresses, address):
        text = f"this data plane may not come back from {address}; {allowed}"
        raise EnrolmentRefusedError("approval", text)


def _read(certificate_pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate_pem)
    except ValueError:
        raise Invalid("`certificate` is none", "send PEM") from None


def _listed(authorities: Authorities) -> Sequence[x509.Certificate]:
    return [one.certificate for one in authorities.listed]


def _hash(certificate: x509.Certificate) -> str:
    return pin(certificate).removeprefix("sha256:")


def _answer(
    authorities: Authorities, asker: x509.Certificate, key_hash: str, revoked: list[str]
) -> PeerAnswer:
    issuer = authorities.issuer.certificate
    is_newest = data_plane_of_certificate(asker, [issuer], asker.not_valid_before_utc) or (
        agent_of_certificate(asker, [issuer], asker.not_valid_before_utc)
    )
    return PeerAnswer(
        authorities=authorities.pem.decode(),
        is_outdated=is_newest is None,
        key=f"sha256:{key_hash}" if key_hash else "",
        revoked=revoked,
    )


def _unknown() -> EnrolmentRefusedError:
    text = "the certificate is not valid here; enrol anew"
    return EnrolmentRefusedError("certificate", text)


def _event(agent: agents.AgentRow, what: str, address: str) -> Event:
    return Event(
        agent.organisation_id,
        what,
        object=agent.id,
        workspace=agent.workspace_id,
        actor=agent.id,
        actor_name=agent.name,
        address=address,
    )
