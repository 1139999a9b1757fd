"""One certificate authority: what it issues and what it accepts.

Keys are P-256: gRPC's TLS accepts no Ed25519 certificates.
"""

import datetime as dt
import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from headgate.certificates.identity import agent_of, agent_uri, data_plane_of, data_plane_uri
from headgate.kernel.errors import Invalid

CLIENT_LIFE = dt.timedelta(hours=24)
SERVER_LIFE = dt.timedelta(days=30)
AUTHORITY_LIFE = dt.timedelta(days=3650)
_SKEW = dt.timedelta(minutes=5)  # clocks differ
_PEM = serialization.Encoding.PEM
_MAX_CSR = 16 << 10
_CURVES = ("secp256r1", "secp384r1")


@dataclass(frozen=True)
class Authority:
    """A CA's key and certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """The certificate, in PEM."""
        return self.certificate.public_bytes(_PEM)

    def client(
        self, csr_pem: bytes, agent_id: str, now: dt.datetime, life: dt.timedelta = CLIENT_LIFE
    ) -> bytes:
        """Returns an agent's certificate in PEM, for the key in the CSR; what else the CSR says is
        ignored. Raises Invalid for a CSR that is none, unsigned, or of another kind of key.
        """
        key = csr_key(csr_pem)
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(agent_uri(agent_id))])
        issued = self._issue(key, agent_id, (now, life), ExtendedKeyUsageOID.CLIENT_AUTH, names)
        return issued.public_bytes(_PEM)

    def data_plane(
        self, csr_pem: bytes, agent_id: str, now: dt.datetime, life: dt.timedelta = CLIENT_LIFE
    ) -> bytes:
        """Returns the certificate, in PEM, with which the data plane of an agent's node lets its
        control plane in. It has no host name, so that it cannot pass for a master's, and cannot be
        used as a client's. Raises Invalid as `client` does.
        """
        key = csr_key(csr_pem)
        uri = x509.UniformResourceIdentifier(data_plane_uri(agent_id))
        names = x509.SubjectAlternativeName([uri])
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        # Some clients read a host name in the subject where the names have none: this is none.
        issued = self._issue(key, "headgate data plane", (now, life), usage, names)
        return issued.public_bytes(_PEM)

    def server(
        self,
        key: ec.EllipticCurvePublicKey,
        names: Iterable[str],
        now: dt.datetime,
        life: dt.timedelta = SERVER_LIFE,
    ) -> bytes:
        """Returns a master's certificate in PEM for these host names and addresses, followed by
        the authority's, which clients compare with their pin."""
        listed = list(names)
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in listed])
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        issued = self._issue(key, "headgate master", (now, life), usage, alternatives)
        return issued.public_bytes(_PEM) + self.pem

    def _issue(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        times: tuple[dt.datetime, dt.timedelta],
        usage: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName,
    ) -> x509.Certificate:
        now, life = times
        builder = _builder(name, self.certificate.subject, key, now - _SKEW)
        end = min(now + life, self.certificate.not_valid_after_utc)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            builder.not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(names, critical=False)
            .add_extension(issuer, critical=False)
            .sign(self.key, hashes.SHA256())
        )


def create(name: str, now: dt.datetime, life: dt.timedelta = AUTHORITY_LIFE) -> Authority:
    """Returns a new authority with a key of its own."""
    key = new_key()
    # Two authorities of a fleet differ in name, so that a certificate finds its issuer.
    mark = hashlib.sha256(_public_bytes(key.public_key())).hexdigest()[:8]
    common = f"{name} {mark}"
    certificate = (
        _builder(common, _name(common), key.public_key(), now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Returns a new private key of the kind that the fleet uses."""
    return ec.generate_private_key(ec.SECP256R1())


def new_csr(key: ec.EllipticCurvePrivateKey, name: str = "") -> bytes:
    """Returns a CSR in PEM; the master decides about all names."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(name or "headgate agent"))
    return builder.sign(key, hashes.SHA256()).public_bytes(_PEM)


def csr_key(csr_pem: bytes) -> ec.EllipticCurvePublicKey:
    """Returns the key that a CSR is of and signed by. Raises Invalid."""
    allowed = "send one in PEM, of a P-256 key that signed it"
    if len(csr_pem) > _MAX_CSR:
        raise Invalid(f"a CSR of {len(csr_pem)} bytes is too large", allowed)
    try:
        csr = x509.load_pem_x509_csr(csr_pem)
        key = csr.public_key()
    except (ValueError, TypeError) as error:
        raise Invalid(f"this is no CSR ({error})", allowed) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _CURVES:
        raise Invalid("the CSR is of another kind of key", allowed)
    if not csr.is_signature_valid:
        raise Invalid("the CSR is not signed by its own key", allowed)
    return key


def pin(certificate: x509.Certificate) -> str:
    """Returns `sha256:` and the hash of a certificate's public key, as join tokens carry it of an
    authority."""
    body = _public_bytes(certificate.public_key())
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def pinned(authorities_pem: bytes, wanted: str) -> bytes:
    """Returns the one authority of `authorities_pem` that the pin is of, in PEM: nothing else of
    what an unverified peer sent is to be trusted. Raises Invalid if none is.
    """
    try:
        certificates = x509.load_pem_x509_certificates(authorities_pem)
    except ValueError as error:
        raise Invalid(f"these are no certificates ({error})", "send PEM") from None
    for certificate in certificates:
        if pin(certificate) == wanted:
            return certificate.public_bytes(_PEM)
    raise Invalid(
        "no authority of this master has the pin of the token", "ask for a token of this master"
    )


def agent_of_certificate(
    certificate: x509.Certificate, authorities: Iterable[x509.Certificate], now: dt.datetime
) -> str | None:
    """Returns the agent whose certificate this is; None if none of `authorities` issued it, or it
    is not valid now. Where TLS ends elsewhere this takes the place of its verification."""
    return agent_of(certificate) if _is_good(certificate, authorities, now) else None


def data_plane_of_certificate(
    certificate: x509.Certificate, authorities: Iterable[x509.Certificate], now: dt.datetime
) -> str | None:
    """Returns the agent of whose node's data plane this certificate is; None as above."""
    return data_plane_of(certificate) if _is_good(certificate, authorities, now) else None


def _is_good(
    certificate: x509.Certificate, authorities: Iterable[x509.Certificate], now: dt.datetime
) -> bool:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return False
    for authority in authorities:
        if not authority.not_valid_before_utc <= now <= authority.not_valid_after_utc:
            continue
        try:
            certificate.verify_directly_issued_by(authority)
        except (InvalidSignature, ValueError, TypeError):
            continue
        return True
    return False


def key_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    """Returns a private key in PEM (PKCS#8), encrypted if there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, encryption)


def load(certificate_pem: bytes, key: bytes, passphrase: bytes | None = None) -> Authority:
    """Returns the authority of a certificate and its key in PEM. Raises Invalid."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        private = serialization.load_pem_private_key(key, passphrase or None)
    except (ValueError, TypeError):
        raise Invalid(
            "the authority cannot be read", "check its files and the passphrase of its key"
        ) from None
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise Invalid("the authority has another kind of key", "use one of P-256")
    if _public_bytes(private.public_key()) != _public_bytes(certificate.public_key()):
        raise Invalid("the authority's key is not that of its certificate", "restore both files")
    return Authority(private, certificate)


def _public_bytes(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
