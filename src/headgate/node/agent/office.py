"""Enrols an agent or a data plane and renews its certificate at the master's REST API.

Nothing secret is sent before the master has shown a certificate of the CA whose pin the join token
carries, or, without a pin, one that the system trusts.
"""

import asyncio
import http.client
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from headgate.certificates.authority import pinned
from headgate.fleet.join_token import JoinToken, parse_join_token
from headgate.fleet.signing import sign_challenge
from headgate.kernel.errors import Invalid
from headgate.kernel.unreadable import UNREADABLE
from headgate.node.about import version
from headgate.node.agent.enrolling import EnrolmentError
from headgate.node.agent.url import MasterUrl
from headgate.providers.master.identity import Identity, IdentityError, IdentityStore, request

AUTHORITIES: Final = "/api/v1/enrolment/authorities"
ENROLMENT: Final = "/api/v1/enrolment"
DATA_PLANES: Final = "/api/v1/enrolment/data-plane"
PEER: Final = "/api/v1/enrolment/peer"
TOKEN: Final = ("HEADGATE_AGENT_TOKEN", "NXMESH_AGENT_TOKEN")
_ASK_S: Final = 20.0
_MOST_BYTES: Final = 1 << 20
_FINAL: Final = frozenset({400, 401, 403, 404, 422})
_OK: Final = frozenset({200, 201})

T = TypeVar("T")


class _Enrol(msgspec.Struct, omit_defaults=True):
    token: str
    csr: str
    hostname: str
    program: str
    labels: dict[str, str] = {}  # of agents only


class _Renew(msgspec.Struct):
    certificate: str
    csr: str
    signature: bytes


class _Enrolled(msgspec.Struct):
    agent: str
    certificate: str
    authorities: str
    manifest_keys: tuple[bytes, ...] = ()


class PeerState(msgspec.Struct, frozen=True):
    """The master's answer about the other end of a control link: see its `PeerAnswer`."""

    authorities: str
    is_outdated: bool
    key: str
    revoked: list[str]


class _Problem(msgspec.Struct):
    title: str = ""
    detail: str = ""


def join_token() -> str | None:
    """Returns the join token of the environment, if there is one."""
    return next((found for name in TOKEN if (found := os.environ.get(name))), None)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An agent's description of itself when it enrols."""

    name: str
    """The name that the master shows for this agent."""
    labels: Mapping[str, str] = field(default_factory=dict)


class RestOffice:
    """The REST API of one master, for an agent or, at `path`, a data plane."""

    def __init__(
        self,
        url: MasterUrl,
        identities: IdentityStore,
        token: str | None,
        newcomer: Newcomer,
        path: str = ENROLMENT,
    ) -> None:
        self._url = url
        self._path = path
        self._newcomer = newcomer
        self._identities = identities
        self._token = token

    async def enrol(self) -> Identity:
        """Returns what the master gave for the token; raises EnrolmentError."""
        return await asyncio.to_thread(self._enrol)

    async def renew(self, identity: Identity) -> Identity:
        """Returns the identity with its next certificate; raises EnrolmentError."""
        return await asyncio.to_thread(self._renew, identity)

    async def peer(self, identity: Identity) -> PeerState:
        """Returns how the other end of the control link is known; raises EnrolmentError."""
        return await asyncio.to_thread(self._peer, identity)

    def _peer(self, identity: Identity) -> PeerState:
        body = msgspec.json.encode({"certificate": identity.certificate})
        answer = self._asked(_trusted(identity), "POST", PEER, body)
        try:
            return msgspec.json.decode(answer, type=PeerState)
        except ValueError as error:
            why = f"{self._url} answered something else than a peer ({error})"
            raise EnrolmentError(why, is_final=False) from error

    def _enrol(self) -> Identity:
        token = self._parsed_token()
        authority = b""
        if token.pin:
            unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            unverified.check_hostname = False
            unverified.verify_mode = ssl.CERT_NONE
            try:
                authority = pinned(self._asked(unverified, "GET", AUTHORITIES), token.pin)
            except Invalid as wrong:
                raise EnrolmentError(str(wrong), is_final=True) from wrong
        me = self._newcomer
        enrol = _Enrol(token.secret, self._request(), me.name, version(), dict(me.labels))
        body = msgspec.json.encode(enrol)
        answer = self._asked(_trusting(authority), "POST", self._path, body)
        return self._identity(answer, is_pinned=bool(token.pin))

    def _renew(self, identity: Identity) -> Identity:
        csr = self._request()
        signature = sign_challenge(self._identities.key(), identity.agent, csr.encode())
        body = msgspec.json.encode(_Renew(identity.certificate, csr, signature))
        answer = self._asked(_trusted(identity), "POST", f"{self._path}/renewal", body)
        fresh = self._identity(answer, is_pinned=identity.is_pinned)
        if fresh.agent != identity.agent or fresh.public_key() != self._identities.public_key():
            why = (
                f"{self._url} answered a renewal with a certificate for another agent, or for"
                " another key; look for who stands between this node and its master"
            )
            raise EnrolmentError(why, is_final=False)
        # Nobody signed the answer: keys that count are those of the enrolment.
        return msgspec.structs.replace(fresh, keys=identity.keys or fresh.keys)

    def _parsed_token(self) -> JoinToken:
        if not self._token:
            raise EnrolmentError(
                "this node has not enrolled, and has no join token; set HEADGATE_AGENT_TOKEN",
                is_final=True,
            )
        try:
            return parse_join_token(self._token)
        except Invalid as wrong:
            raise EnrolmentError(str(wrong), is_final=True) from wrong

    def _request(self) -> str:
        try:
            return request(self._identities.key(), self._newcomer.name).decode()
        except IdentityError as error:
            raise EnrolmentError(str(error), is_final=True) from error
        except OSError as error:
            why = f"the agent's key cannot be kept: {error.strerror or error}"
            raise EnrolmentError(why, is_final=False) from error

    def _identity(self, answer: bytes, *, is_pinned: bool) -> Identity:
        try:
            found = msgspec.json.decode(answer, type=_Enrolled)
            identity = Identity(
                agent=found.agent,
                master=str(self._url),
                certificate=found.certificate,
                ca=found.authorities,
                keys=found.manifest_keys,
                is_pinned=is_pinned,
            )
            _ = identity.renew_at
        except UNREADABLE as error:
            why = f"{self._url} answered something else than an enrolment ({error})"
            raise EnrolmentError(why, is_final=False) from error
        return identity

    def _asked(
        self, context: ssl.SSLContext, method: str, path: str, body: bytes | None = None
    ) -> bytes:
        """Returns the body of a good answer; raises EnrolmentError."""
        where = f"{self._url.host} port {self._url.rest_port}"
        connection = http.client.HTTPSConnection(
            self._url.host, self._url.rest_port, timeout=_ASK_S, context=context
        )
        headers = {"content-type": "application/json"} if body is not None else {}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read(_MOST_BYTES)
        except ssl.SSLCertVerificationError as error:
            why = (
                f"{where} shows a certificate that is not trusted ({error.verify_message});"
                " use a token with the pin of the fleet's CA"
            )
            raise EnrolmentError(why, is_final=False) from error
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            why = f"{where} does not answer: {error or type(error).__name__}"
            raise EnrolmentError(why, is_final=False) from error
        finally:
            connection.close()
        if response.status in _OK:
            return answer
        why = f"the master refuses this node: {_reason(response.status, answer)}"
        raise EnrolmentError(why, is_final=response.status in _FINAL)


def _trusted(identity: Identity) -> ssl.SSLContext:
    return _trusting(identity.ca.encode() if identity.is_pinned else b"")


def _trusting(authority: bytes) -> ssl.SSLContext:
    """Returns what trusts this CA alone, or, without one, what the system trusts."""
    if not authority:
        return ssl.create_default_context()
    return ssl.create_default_context(cadata=authority.decode())


def _reason(status: int, answer: bytes) -> str:
    try:
        problem = msgspec.json.decode(answer, type=_Problem)
    except ValueError:
        problem = _Problem()
    return problem.detail or problem.title or f"HTTP {status}"
