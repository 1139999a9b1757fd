"""Reads what a master gave an end of a control link, and how it knows the other end.

An agent's certificate names the agent, that of a data plane the agent that it obeys: so each end
knows the one name that the other must have, and nothing else is asked of files.
"""

from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509

from headgate.certificates.authority import pin
from headgate.certificates.identity import agent_of, agent_uri, data_plane_of, data_plane_uri
from headgate.node.remote.credentials import CredentialsError
from headgate.node.remote.peer import Certificate
from headgate.node.remote.target import Fleet
from headgate.providers.master.identity import IdentityError, IdentityStore
from headgate.providers.master.store import write_private

_KNOWN: Final = "peer.json"


class Known(msgspec.Struct, frozen=True):
    """The master's last word on the other end: `sha256:` and the hash of its public key, empty if
    it was revoked or there is none, and the serial numbers of certificates that were revoked."""

    key: str
    revoked: list[str] = []


def read_identity(fleet: Fleet) -> tuple[bytes, bytes, bytes]:
    """Returns certificate, key and CAs in PEM; raises CredentialsError."""
    identities = IdentityStore(Path(fleet.folder))
    try:
        identity = identities.identity()
        if identity is None:
            raise CredentialsError(
                "this end of the control link has not enrolled at its master yet"
            )
        return identity.certificate.encode(), identities.key_pem(), identity.ca.encode()
    except IdentityError as error:
        raise CredentialsError(str(error)) from error
    except OSError as error:
        why = f"the identity in {fleet.folder} cannot be read: {error.strerror or error}"
        raise CredentialsError(why) from error


def other_name(fleet: Fleet, certificate_pem: bytes) -> str:
    """Returns the name that the other end's certificate must have; raises CredentialsError."""
    try:
        leaf = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError as error:
        raise CredentialsError(f"the certificate in {fleet.folder} cannot be read") from error
    mine, other = (
        (agent_of(leaf), data_plane_uri)
        if fleet.role == "agent"
        else (data_plane_of(leaf), agent_uri)
    )
    if mine is None:
        what = "an agent" if fleet.role == "agent" else "a data plane"
        raise CredentialsError(
            f"the certificate in {fleet.folder} is not one of {what}; remove the folder, and"
            " enrol again with a new token"
        )
    return other(mine)


def keep_known(folder: Path, known: Known) -> None:
    """Writes the master's last word on the other end, durably. Raises OSError."""
    write_private(folder / _KNOWN, msgspec.json.encode(known))


def read_known(folder: Path) -> Known | None:
    """Returns the master's last word; None if it has not said anything yet.

    Raises CredentialsError for a file that cannot be read: it may be about a revoked end.
    """
    file = folder / _KNOWN
    try:
        return msgspec.json.decode(file.read_bytes(), type=Known)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is damaged"
        text = f"{file} cannot be read: {why}; the next answer of the master replaces it"
        raise CredentialsError(text) from error


def key_pin(certificate_der: bytes) -> str:
    """Returns `sha256:` and the hash of a certificate's public key."""
    return pin(x509.load_der_x509_certificate(certificate_der))


def objection(name: str, known: Known | None, shown: Certificate) -> str:
    """Returns why the other end is not the one of this node; empty if it is.

    >>> objection("headgate://agent/a", None, Certificate("", ["headgate://agent/b"], 0.0))
    'the certificate is for headgate://agent/b; the other plane of this node is headgate://agent/a'
    """
    if shown.names != [name]:
        has = ", ".join(shown.names) or "no name"
        return f"the certificate is for {has}; the other plane of this node is {name}"
    if known is None:
        return ""
    if not known.key or known.key != shown.key:
        return f"the master does not know this key as that of {name}: it was revoked or replaced"
    if shown.serial in known.revoked:
        return f"this certificate of {name} was revoked"
    return ""
