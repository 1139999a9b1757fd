"""Reads certificates in files: whose they are, until when,
and whether the key beside them matches.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from headgate.engines.nginx.instance.rooted import RootedFiles
from headgate.kernel.unreadable import UNREADABLE

KeyFit = Literal["fits", "differs", "unknown"]

_DAY_S: Final = 86_400.0
_SPKI: Final = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


class Leaf(msgspec.Struct, frozen=True):
    """A server's certificate. `names` are DNS names and addresses; `sha256` hex, of its DER.

    Times are seconds since 1970, UTC.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before_s: float
    not_after_s: float
    sha256: str

    def days_left(self, now_s: float) -> float:
        """Returns the days until it expires; negative afterwards."""
        return (self.not_after_s - now_s) / _DAY_S


class CertificateFile(msgspec.Struct, frozen=True):
    """A pair as a config names it; `problem` says why the leaf is missing,
    or what is wrong with the key.
    """

    path: str
    key_path: str = ""
    leaf: Leaf | None = None
    key: KeyFit = "unknown"
    problem: str = ""


class BadCertificateError(ValueError):
    """No certificate, or one that cannot be parsed; says why."""


def leaf_of(certificate: x509.Certificate) -> Leaf:
    """Returns what we report of a certificate; what cannot be read of it is empty."""
    return Leaf(
        subject=_name(lambda: certificate.subject),
        issuer=_name(lambda: certificate.issuer),
        names=_names(certificate),
        not_before_s=_epoch(certificate.not_valid_before_utc),
        not_after_s=_epoch(certificate.not_valid_after_utc),
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def parse_der(der: bytes) -> Leaf:
    """Parses a certificate as it comes over the wire. Raises BadCertificateError."""
    try:
        return leaf_of(x509.load_der_x509_certificate(der))
    except UNREADABLE as error:
        raise BadCertificateError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads what a config names, in the file system of its nginx.

    `prefix` is where nginx takes relative paths from: the directory of nginx.conf.
    """

    prefix: str
    files: RootedFiles = field(default_factory=RootedFiles)

    def read(self, path: str, key_path: str = "") -> CertificateFile:
        """Returns everything about the pair; never raises."""
        try:
            certificate = _load(self._content(path))
        except (OSError, BadCertificateError) as error:
            return CertificateFile(path, key_path, problem=_why(error))
        leaf = leaf_of(certificate)
        if not key_path:
            return CertificateFile(path, key_path, leaf)
        try:
            fits = _fits(certificate, self._content(key_path))
        except (OSError, BadCertificateError) as error:
            return CertificateFile(path, key_path, leaf, problem=f"key: {_why(error)}")
        return CertificateFile(path, key_path, leaf, "fits" if fits else "differs")

    def _content(self, path: str) -> bytes:
        if path.startswith("data:"):
            return path.removeprefix("data:").encode()
        if "$" in path:
            raise BadCertificateError("its path holds variables")
        if path.startswith("engine:") or path.startswith("store:"):
            raise BadCertificateError("it is not in a file")
        return self.files.read(str(Path(self.prefix) / path))


def _load(pem: bytes) -> x509.Certificate:
    """Returns the first certificate: what nginx serves as its own."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise BadCertificateError("it holds no certificate in PEM") from error
    except UNREADABLE as error:
        raise BadCertificateError("it is of a version or a form that we cannot read") from error


def _fits(certificate: x509.Certificate, key_pem: bytes) -> bool:
    try:
        # A check of an RSA key costs tens of milliseconds, and we need only its public half.
        key = serialization.load_pem_private_key(key_pem, None, unsafe_skip_rsa_key_validation=True)
        return key.public_key().public_bytes(*_SPKI) == certificate.public_key().public_bytes(
            *_SPKI
        )
    except TypeError as error:
        raise BadCertificateError("it is encrypted") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadCertificateError("it holds no key in PEM that we can read") from error


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return ()
    dns = found.get_values_for_type(x509.DNSName)
    addresses = [str(one) for one in found.get_values_for_type(x509.IPAddress)]
    return (*dns, *addresses)


def _name(parsed: Callable[[], x509.Name]) -> str:
    """Returns the common name, or the whole name where there is none."""
    try:
        name = parsed()
        common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(common[0].value) if common else name.rfc4514_string()
    except ValueError:  # an old CA's text, in an encoding of its own
        return ""


def _epoch(time: dt.datetime) -> float:
    return time.timestamp()


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
