"""Enrolment and renewal as JSON: what the REST routes take and answer. The routes themselves are
whoever mounts them; TLS is theirs, too.

`GET  /api/v1/enrolment/authorities`: the fleet's CAs in PEM. A node trusts of them only the one
that the pin in its token is of, and makes its next request with that.
`POST /api/v1/enrolment`: a token and a CSR for a certificate.
`POST /api/v1/enrolment/renewal`: a certificate that is valid, and a CSR signed by its key.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from headgate.certificates.authority import agent_of_certificate
from headgate.certificates.identity import serial_of
from headgate.fleet.signing import challenge_is_answered
from headgate.kernel.errors import Invalid
from headgate.master.fleet.book import AgentFacts, Enrolled, EnrolmentRefusedError, FleetBook

AUTHORITIES_PATH = "/api/v1/enrolment/authorities"
ENROLMENT_PATH = "/api/v1/enrolment"
RENEWAL_PATH = "/api/v1/enrolment/renewal"
MAX_BODY = 64 << 10
T = TypeVar("T")


class EnrolmentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an enrolment. `csr` is PEM."""

    token: str
    csr: str
    hostname: str = ""
    program: str = ""
    labels: Mapping[str, str] = {}


class RenewalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a renewal. `signature`: of the CSR's bytes, as of a challenge, by the key of
    `certificate`."""

    certificate: str
    csr: str
    signature: bytes


class EnrolledAnswer(msgspec.Struct, frozen=True):
    """The answer to both. `manifest_keys` are raw Ed25519 public keys, in base64."""

    agent: str
    certificate: str
    authorities: str
    manifest_keys: tuple[bytes, ...]


def decoded(body: bytes, kind: type[T]) -> T:
    """Returns the request in a body. Raises Invalid with the path of what is wrong."""
    if len(body) > MAX_BODY:
        raise Invalid(f"a body of {len(body)} bytes is too large", f"at most {MAX_BODY}")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"this is no request ({error})", "see the API's reference") from None


async def enrol(book: FleetBook, body: bytes, address: str) -> EnrolledAnswer:
    """Answers an enrolment. Raises Invalid and EnrolmentRefusedError."""
    request = decoded(body, EnrolmentRequest)
    facts = AgentFacts(request.hostname, request.program, request.labels)
    return await enrol_with(book, request.token, request.csr, facts, address)


async def enrol_with(
    book: FleetBook, token: str, csr: str, facts: AgentFacts, address: str
) -> EnrolledAnswer:
    """Answers an enrolment that was read. Raises EnrolmentRefusedError."""
    return _answer(await book.enrol(token, csr.encode(), facts, address))


async def renew(
    book: FleetBook,
    body: bytes,
    authorities: list[x509.Certificate],
    now: Callable[[], dt.datetime],
) -> EnrolledAnswer:
    """Answers a renewal by an agent whose certificate one of `authorities` issued. Raises Invalid
    and EnrolmentRefusedError."""
    return await renewed(book, decoded(body, RenewalRequest), authorities, now)


async def renewed(
    book: FleetBook,
    request: RenewalRequest,
    authorities: list[x509.Certificate],
    now: Callable[[], dt.datetime],
    address: str = "",
) -> EnrolledAnswer:
    """Answers a renewal that was read, by a caller at `address`. An agent whose certificate has
    expired proves itself by its key alone, and the book decides. Raises Invalid and
    EnrolmentRefusedError."""
    try:
        certificate = x509.load_pem_x509_certificate(request.certificate.encode())
    except ValueError:
        raise Invalid("`certificate` is none", "send PEM") from None
    expired = certificate.not_valid_after_utc
    is_late = now() > expired
    agent = agent_of_certificate(certificate, authorities, expired if is_late else now())
    key = certificate.public_key()
    if agent is None or not isinstance(key, ec.EllipticCurvePublicKey):
        raise EnrolmentRefusedError("certificate", "the certificate is not valid here; enrol anew")
    if not challenge_is_answered(key, agent, request.csr.encode(), request.signature):
        raise EnrolmentRefusedError("signature", "the certificate's key did not sign this CSR")
    if await book.identify(agent, serial_of(certificate)) is None:
        raise EnrolmentRefusedError("revoked", "this agent or its certificate was revoked")
    if is_late:
        return _answer(await book.rejoin(agent, request.csr.encode(), address, expired))
    return _answer(await book.renew(agent, request.csr.encode()))


def _answer(enrolled: Enrolled) -> EnrolledAnswer:
    return EnrolledAnswer(
        agent=enrolled.agent,
        certificate=enrolled.certificate_pem.decode(),
        authorities=enrolled.authorities_pem.decode(),
        manifest_keys=enrolled.manifest_keys,
    )
