"""A master's certificate is renewed in time, and follows the authority that issues."""

import datetime as dt

import pytest
from cryptography import x509

from headgate.certificates.authority import create
from headgate.certificates.rotation import Authorities
from headgate.master.fleet.server_identity import ServerIdentity

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def test_a_master_renews_its_certificate_and_follows_a_rotation() -> None:
    now = NOW
    authorities = Authorities((create("fleet", NOW),))
    identity = ServerIdentity(["master.example", "127.0.0.1"], lambda: authorities, lambda: now)
    first = identity()
    assert identity() == first
    now = NOW + 19 * DAY
    assert identity() == first
    now = NOW + 20 * DAY
    renewed = identity()
    assert renewed.chain_pem != first.chain_pem
    assert renewed.key_pem == first.key_pem
    authorities = authorities.announced(create("fleet", NOW))
    assert identity().chain_pem == renewed.chain_pem
    assert identity().authorities_pem == authorities.pem
    authorities = authorities.switched()
    leaf, issuer = x509.load_pem_x509_certificates(identity().chain_pem)
    assert issuer == authorities.listed[1].certificate
    leaf.verify_directly_issued_by(issuer)


@pytest.mark.parametrize("ahead", [dt.timedelta(minutes=6), dt.timedelta(hours=2), 19 * DAY])
def test_a_certificate_from_before_the_clock_was_set_back_is_replaced(ahead: dt.timedelta) -> None:
    now = NOW + ahead
    authorities = Authorities((create("fleet", NOW),))
    identity = ServerIdentity(["master.example"], lambda: authorities, lambda: now)
    early = identity()
    now = NOW
    corrected = identity()
    leaf = x509.load_pem_x509_certificate(corrected.chain_pem)
    assert corrected.chain_pem != early.chain_pem
    assert leaf.not_valid_before_utc <= NOW < leaf.not_valid_after_utc
    now = NOW + DAY
    assert identity() == corrected
