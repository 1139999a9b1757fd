"""Certificates for tests: an authority in a folder, and the pairs it issues."""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_PEM = serialization.Encoding.PEM
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files; `serial` tells it from every other."""

    cert_file: Path
    key_file: Path
    serial: int

    def toml(self, name: str, more: str = "") -> str:
        """As `[certificates.NAME]`."""
        return (
            f"[certificates.{name}]\n"
            f'cert_file = "{self.cert_file}"\nkey_file = "{self.key_file}"\n{more}\n'
        )


class Authority:
    """Signs whatever is asked for; its own certificate is `ca_file`."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        builder = _builder(self._name, self._name, self._key, days=3650)
        usage = x509.BasicConstraints(ca=True, path_length=None)
        builder = builder.add_extension(usage, critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self.ca_file = folder / f"{name.replace(' ', '-')}.pem"
        _replace(self.ca_file, self._certificate.public_bytes(_PEM))

    def issue(self, stem: str, *names: str, is_rsa: bool = False, days: int = 30) -> Pair:
        """A new pair for these DNS names or addresses in `stem.pem` and `stem.key`.

        Each file is replaced at once, the certificate last. `days` may be negative: expired.
        """
        key = new_key(is_rsa=is_rsa)
        certificate = self._sign(key, names, days)
        pair = Pair(
            self._folder / f"{stem}.pem", self._folder / f"{stem}.key", certificate.serial_number
        )
        _replace(pair.key_file, key_pem(key))
        _replace(pair.cert_file, certificate.public_bytes(_PEM))
        return pair

    def staple(self, pair: Pair) -> Path:
        """An OCSP response that says `good`, in DER, beside the pair."""
        leaf = x509.load_pem_x509_certificate(pair.cert_file.read_bytes())
        now = dt.datetime.now(dt.UTC)
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=leaf,
                issuer=self._certificate,
                algorithm=hashes.SHA256(),
                cert_status=ocsp.OCSPCertStatus.GOOD,
                this_update=now - _DAY,
                next_update=now + 7 * _DAY,
                revocation_time=None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self._certificate)
            .sign(self._key, hashes.SHA256())
        )
        path = pair.cert_file.with_suffix(".ocsp")
        _replace(path, response.public_bytes(serialization.Encoding.DER))
        return path

    def revocations(self, *pairs: Pair, days: int = 7) -> Path:
        """The list of these pairs' certificates as revoked, in PEM, good for so many days; replaced
        at once."""
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateRevocationListBuilder(self._name, now - _DAY, now + days * _DAY)
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        for pair in pairs:
            revoked = x509.RevokedCertificateBuilder(pair.serial, now - _DAY).build()
            builder = builder.add_revoked_certificate(revoked)
        path = self._folder / "revoked.pem"
        _replace(path, builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM))
        return path

    def _sign(self, key: Key, names: tuple[str, ...], days: int) -> x509.Certificate:
        builder = _builder(_name(names[0]), self._name, key, days=days)
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        return builder.add_extension(alternatives, critical=False).sign(self._key, hashes.SHA256())


def new_key(*, is_rsa: bool = False) -> Key:
    """P-256, or RSA of 2048 bits."""
    if is_rsa:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key) -> bytes:
    """A key as PKCS #8 in PEM."""
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, *, days: int
) -> x509.CertificateBuilder:
    end = dt.datetime.now(dt.UTC) + days * _DAY
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(end, dt.datetime.now(dt.UTC)) - 30 * _DAY)
        .not_valid_after(end)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(name: str) -> x509.GeneralName:
    """`uri:…` and `email:…` are of that type, others an address or a DNS name."""
    kind, _, rest = name.partition(":")
    if kind == "uri":
        return x509.UniformResourceIdentifier(rest)
    if kind == "email":
        return x509.RFC822Name(rest)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _replace(path: Path, content: bytes) -> None:
    whole = path.with_name(path.name + ".new")
    whole.write_bytes(content)
    whole.replace(path)
