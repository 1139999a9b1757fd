"""Checks that a file holds what its key says; the data plane checks that a pair matches."""

import re

from headgate.kernel.errors import Invalid

_KEY = re.compile(rb"-----BEGIN (?:RSA |EC )?PRIVATE KEY-----")
_ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED")


def certificates(content: bytes) -> None:
    """Raises `Invalid` unless there is a PEM certificate."""
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise Invalid(
            "holds no certificate", "name a PEM file with `-----BEGIN CERTIFICATE-----`, leaf first"
        )


def revocations(content: bytes) -> None:
    """Raises `Invalid` unless there is a PEM revocation list."""
    if b"-----BEGIN X509 CRL-----" not in content:
        raise Invalid("holds no revocation list", "name a PEM file with `-----BEGIN X509 CRL-----`")


def private_key(content: bytes) -> None:
    """Raises `Invalid` unless there is a PEM private key that is not encrypted."""
    if _ENCRYPTED.search(content):
        raise Invalid("holds an encrypted key", "name a key without passphrase")
    if not _KEY.search(content):
        raise Invalid("holds no private key", "name a PEM file with `-----BEGIN PRIVATE KEY-----`")


def ocsp_response(content: bytes) -> None:
    """Raises `Invalid` unless it looks like DER (RFC 6960 §4.2.1)."""
    if not content.startswith(b"\x30"):
        raise Invalid(
            "is not an OCSP response",
            "name a response in DER, as `openssl ocsp -respout` writes it",
        )
