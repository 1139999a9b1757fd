"""What the fleet's authority issues, refuses and accepts."""

import datetime as dt
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from odd_certificates import duplicate_extension, edi_name

from headgate.certificates import authority as ca
from headgate.certificates import identity
from headgate.certificates.rotation import Authorities, Revocations
from headgate.kernel.errors import Invalid

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
ONE, TWO = ca.create("fleet", NOW), ca.create("fleet", NOW)


def client(authority: ca.Authority = ONE, agent: str = "agent-1") -> x509.Certificate:
    csr = ca.new_csr(ca.new_key())
    return x509.load_pem_x509_certificate(authority.client(csr, agent, NOW))


def test_a_client_certificate_names_its_agent_and_lasts_a_day() -> None:
    certificate = client()
    assert identity.agent_of(certificate) == "agent-1"
    assert certificate.not_valid_after_utc == NOW + 24 * HOUR
    begin = certificate.not_valid_before_utc
    assert identity.renew_at(certificate) == begin + (NOW + 24 * HOUR - begin) * 2 / 3
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert not basic.value.ca


def test_a_data_plane_s_certificate_is_no_agent_s_and_no_master_s() -> None:
    pem = ONE.data_plane(ca.new_csr(ca.new_key()), "agent-1", NOW)
    certificate = x509.load_pem_x509_certificate(pem)
    assert identity.data_plane_of(certificate) == "agent-1"
    assert identity.agent_of(certificate) is None
    trusted = [ONE.certificate]
    assert ca.data_plane_of_certificate(certificate, trusted, NOW) == "agent-1"
    assert ca.agent_of_certificate(certificate, trusted, NOW) is None
    assert ca.data_plane_of_certificate(certificate, [TWO.certificate], NOW) is None
    assert ca.data_plane_of_certificate(certificate, trusted, NOW + 25 * HOUR) is None
    assert identity.data_plane_of(client()) is None
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == []
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_names_that_the_csr_asks_for_are_ignored() -> None:
    key = ca.new_key()
    names = x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier("headgate://agent/boss"), x509.DNSName("master")]
    )
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "boss")]))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = ONE.client(csr.public_bytes(serialization.Encoding.PEM), "agent-2", NOW)
    certificate = x509.load_pem_x509_certificate(pem)
    assert identity.agent_of(certificate) == "agent-2"
    assert "boss" not in certificate.subject.rfc4514_string()
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_csr_that_is_none_or_of_another_key_is_refused() -> None:
    good = ca.new_csr(ca.new_key())
    other = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(ed25519.Ed25519PrivateKey.generate(), None)
    )
    der = x509.load_pem_x509_csr(good).public_bytes(serialization.Encoding.DER)
    forged = x509.load_der_x509_csr(der[:-1] + bytes([der[-1] ^ 1]))
    for pem in (
        b"",
        b"nonsense",
        good * 100,
        other.public_bytes(serialization.Encoding.PEM),
        forged.public_bytes(serialization.Encoding.PEM),
    ):
        with pytest.raises(Invalid):
            ONE.client(pem, "agent-1", NOW)


@pytest.mark.parametrize("agent", ["", "a/b", "a b", "é", "a" * 129, "-a", "a\n"])
def test_an_id_that_could_be_mistaken_is_refused(agent: str) -> None:
    with pytest.raises(Invalid):
        client(agent=agent)


def test_only_a_valid_certificate_of_a_trusted_authority_is_an_agents() -> None:
    trusted = [ONE.certificate]
    at = NOW + HOUR
    assert ca.agent_of_certificate(client(), trusted, at) == "agent-1"
    assert ca.agent_of_certificate(client(TWO), trusted, at) is None
    assert ca.agent_of_certificate(client(), trusted, NOW + 25 * HOUR) is None
    assert ca.agent_of_certificate(client(), trusted, NOW - HOUR) is None
    server = ONE.server(ca.new_key().public_key(), ["localhost"], NOW)
    as_server = x509.load_pem_x509_certificate(server)
    assert ca.agent_of_certificate(as_server, trusted, at) is None
    assert ca.agent_of_certificate(ONE.certificate, trusted, at) is None


def test_an_authority_with_the_same_name_is_another_one() -> None:
    impostor_key = ca.new_key()
    impostor = ca.Authority(impostor_key, ONE.certificate)
    assert ca.agent_of_certificate(client(impostor), [ONE.certificate], NOW) is None


def test_a_server_certificate_is_for_its_names_and_brings_the_authority() -> None:
    pem = ONE.server(ca.new_key().public_key(), ["master.example", "127.0.0.1"], NOW)
    leaf, issuer = x509.load_pem_x509_certificates(pem)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["master.example"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert ca.pin(issuer) == ca.pin(ONE.certificate)


def test_a_pin_chooses_one_authority_and_trusts_no_other() -> None:
    both = ONE.pem + TWO.pem
    assert ca.pinned(both, ca.pin(TWO.certificate)) == TWO.pem
    with pytest.raises(Invalid, match="pin"):
        ca.pinned(ONE.pem, ca.pin(TWO.certificate))
    with pytest.raises(Invalid):
        ca.pinned(b"", ca.pin(ONE.certificate))


@pytest.mark.parametrize("make", [duplicate_extension, edi_name])
def test_a_certificate_whose_extensions_cannot_be_read_is_nobody_s(
    make: Callable[[], bytes],
) -> None:
    certificate = x509.load_pem_x509_certificate(make())
    assert identity.agent_of(certificate) is None
    assert identity.data_plane_of(certificate) is None


def test_two_authorities_overlap_in_a_rotation() -> None:
    steady = Authorities((ONE,))
    old = client(ONE)
    announced = steady.announced(TWO)
    assert announced.issuer is ONE
    assert announced.pem == ONE.pem + TWO.pem
    switched = announced.switched()
    assert switched.issuer is TWO
    assert switched.agent_of(old, NOW) == "agent-1"
    assert switched.agent_of(client(TWO), NOW) == "agent-1"
    finished = switched.finished()
    assert finished.agent_of(old, NOW) is None
    assert finished.stage == "steady"


def test_steps_of_a_rotation_come_in_their_order() -> None:
    steady = Authorities((ONE,))
    for wrong in (
        steady.switched,
        steady.finished,
        steady.announced(TWO).finished,
        lambda: steady.announced(TWO).announced(ONE),
        steady.announced(TWO).switched().switched,
    ):
        with pytest.raises(Invalid):
            wrong()


def test_a_revoked_agent_or_certificate_counts_no_more() -> None:
    revoked = Revocations()
    assert not revoked.is_revoked("a", "1")
    revoked.revoke_agent("a")
    revoked.revoke_certificate("7")
    assert revoked.is_revoked("a", "1")
    assert revoked.is_revoked("b", "7")
    assert not revoked.is_revoked("b", "1")


def test_a_key_is_read_with_its_passphrase_only() -> None:
    secret = ca.key_pem(ONE.key, b"open sesame")
    assert b"ENCRYPTED" in secret
    again = ca.load(ONE.pem, secret, b"open sesame")
    assert isinstance(again.key, ec.EllipticCurvePrivateKey)
    for passphrase in (None, b"wrong"):
        with pytest.raises(Invalid, match="passphrase"):
            ca.load(ONE.pem, secret, passphrase)
    with pytest.raises(Invalid, match="not that of its certificate"):
        ca.load(TWO.pem, ca.key_pem(ONE.key))
