"""What the node warns of once a config is served."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from headgate.node.ports import Candidate
from headgate.node.source import FileSource

CONFIG = """
[listeners.web]
address = "127.0.0.1:8443"
default = true
tls = { default_certificate = "c" }
[certificates.c]
cert_file = "c.pem"
key_file = "c.key"
[routes.r]
respond = { status = 200 }
"""


def write_expired_pair(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.example")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = made.public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - timedelta(days=9)).not_valid_after(now - timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), False)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "c.pem").write_bytes(pem)
    plain = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    (folder / "c.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))


def test_an_expired_pair_on_a_listener_is_warned_of(tmp_path: Path) -> None:
    write_expired_pair(tmp_path)
    (tmp_path / "a.toml").write_text(CONFIG)
    served = FileSource([tmp_path / "a.toml"]).load()
    assert isinstance(served, Candidate)
    assert any("expired" in str(warning) for warning in served.lints())
