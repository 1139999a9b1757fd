"""Certificates that TLS serves, though `cryptography` cannot read them in full."""

import datetime as dt
import ssl
from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtensionOID, NameOID

KEY: Final = ec.generate_private_key(ec.SECP256R1())
KEY_PEM: Final = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _der(name: x509.Name, *extensions: x509.ExtensionType) -> bytes:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=30))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def _pem(der: bytes, replaced: tuple[bytes, bytes]) -> bytes:
    """Returns the certificate with bytes replaced; nobody verifies its signature."""
    old, new = replaced
    assert old in der
    return ssl.DER_cert_to_PEM_cert(der.replace(old, new)).encode()


def latin_name() -> bytes:
    """Its organization is a Latin-1 TeletexString, as old CAs write them."""
    odd = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "AAAA", _type=_ASN1Type.T61String)
    plain = x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")
    return _pem(_der(x509.Name([plain, odd])), (b"AAAA", b"A\xe9AA"))


def duplicate_extension() -> bytes:
    """It has one extension twice."""
    first, second = (x509.ObjectIdentifier(f"1.3.6.1.4.1.99991.{last}") for last in (1, 2))
    der = _der(
        x509.Name([]),
        x509.UnrecognizedExtension(first, b"\x05\x00"),
        x509.UnrecognizedExtension(second, b"\x05\x00"),
    )
    stem = bytes.fromhex("2b06010401868d17")
    return _pem(der, (stem + b"\x02", stem + b"\x01"))


def edi_name() -> bytes:
    """Its alternative names have one of a kind that nobody reads."""
    names = b"\x82\x09a.example" + bytes.fromhex("a506a1040c026869")
    value = b"\x30" + bytes([len(names)]) + names
    oid = ExtensionOID.SUBJECT_ALTERNATIVE_NAME
    plain = _der(x509.Name([]), x509.UnrecognizedExtension(oid, value))
    return _pem(plain, (b"a.example", b"a.example"))


def version_2() -> bytes:
    """It says that it is of version 2."""
    version = bytes.fromhex("a003020102"), bytes.fromhex("a003020101")
    return _pem(_der(x509.Name([])), version)


ODD: Final[tuple[Callable[[], bytes], ...]] = (
    latin_name,
    duplicate_extension,
    edi_name,
    version_2,
)
