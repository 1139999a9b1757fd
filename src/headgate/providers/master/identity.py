"""Keeps who this agent is to its master: its own key, its certificate, and whom it trusts.

The key is made here and never leaves; only the node's user may read it.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from headgate.providers.master.store import write_private

_KEY: Final = "agent.key"
IDENTITY: Final = "identity.json"
_EPOCH: Final = "epoch"
_RENEW_AT: Final = 2 / 3
_SPKI: Final = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class IdentityError(Exception):
    """The key or the identity on disk cannot be used; the message says what to do."""


class Identity(msgspec.Struct, frozen=True):
    """The identity that a master gave an agent when it enrolled; times are Unix seconds.

    `certificate` and `ca` are PEM, `keys` raw Ed25519 keys that sign manifests. `is_pinned`: the
    token had a pin, and the REST API too shows a certificate of `ca`.
    """

    agent: str
    master: str
    certificate: str
    ca: str
    keys: tuple[bytes, ...]
    is_pinned: bool = True

    @property
    def not_before(self) -> float:
        """The start of the certificate's validity."""
        return self._leaf().not_valid_before_utc.timestamp()

    @property
    def not_after(self) -> float:
        """The end of the certificate's validity."""
        return self._leaf().not_valid_after_utc.timestamp()

    @property
    def renew_at(self) -> float:
        """The time to renew the certificate: after two thirds of its validity."""
        return self.not_before + (self.not_after - self.not_before) * _RENEW_AT

    def public_key(self) -> bytes:
        """Returns the key that the certificate is for, in DER."""
        return self._leaf().public_key().public_bytes(*_SPKI)

    def _leaf(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.encode())


class IdentityStore:
    """The identity in a state directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key_pem(self) -> bytes:
        """Returns the agent's private key, made at the first call.

        Raises IdentityError for a file that is not a key, and OSError.
        """
        path = self.folder / _KEY
        if not path.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_private(path, pem)
        pem = path.read_bytes()
        self._loaded(pem)
        return pem

    def key(self) -> ec.EllipticCurvePrivateKey:
        """Returns the same as a key."""
        return self._loaded(self.key_pem())

    def public_key(self) -> bytes:
        """Returns the public half of the key, in DER; raises as `key_pem`."""
        return self.key().public_key().public_bytes(*_SPKI)

    def identity(self) -> Identity | None:
        """Returns who the agent is; None before it enrolled. Raises IdentityError, OSError."""
        path = self.folder / IDENTITY
        if not path.exists():
            return None
        try:
            found = msgspec.json.decode(path.read_bytes(), type=Identity)
            _ = found.not_after
        except (msgspec.MsgspecError, ValueError) as wrong:
            raise IdentityError(
                f"{path} cannot be read ({wrong}); remove it, and enrol again with a new token"
            ) from wrong
        return found

    def keep(self, identity: Identity) -> None:
        """Writes the identity, durably. Raises OSError."""
        write_private(self.folder / IDENTITY, msgspec.json.encode(identity))

    def next_epoch(self) -> int:
        """Returns how often the agent has started, this time included; counts on. Raises OSError.

        A counter that cannot be read begins with the time, which is above every earlier count.
        """
        path = self.folder / _EPOCH
        try:
            number = int(path.read_text()) + 1
        except FileNotFoundError:
            number = 1
        except ValueError:
            number = int(datetime.now(UTC).timestamp())
        write_private(path, b"%d\n" % number)
        return number

    def _loaded(self, pem: bytes) -> ec.EllipticCurvePrivateKey:
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            place = self.folder / _KEY
            raise IdentityError(
                f"{place} is not a key of headgate; remove {self.folder}, and enrol again with"
                " a new token"
            )
        return key


def request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """Returns a certificate request (PEM) for a key; the master decides about the name."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
