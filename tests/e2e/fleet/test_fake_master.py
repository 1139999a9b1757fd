"""`headgate dev`: a master in memory, its enrolment over TLS, and simulated agents."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from fake_master_process import HEADGATE, Told, fake_master

from headgate.certificates.authority import new_csr, new_key
from headgate.certificates.identity import agent_of
from headgate.fleet.signing import sign_challenge
from headgate.kernel.errors import Invalid
from headgate.master.dev.joining import JoinError, Rest
from headgate.master.dev.simulated import Enrolment
from headgate.master.fleet import enrolment


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with fake_master(tmp_path_factory.mktemp("master")) as told:
        yield told


def test_simulated_agents_connect_are_served_and_come_back(master: Told) -> None:
    where = [f"--rest={master.rest}", f"--grpc={master.grpc}", f"--pin={master.pin}"]
    ran = subprocess.run(
        [HEADGATE, "dev", "fake-agents", "5", *where, f"--token={master.token}", "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(ran.stdout)
    assert result["agents"] == 5
    assert len(result["rounds"]) == 3
    for one in result["rounds"]:
        p50, p99, last = one["serving_s"]
        assert 0 < p50 <= p99 <= last
    assert result["healed_s"] > 0


def test_a_token_gets_a_certificate_of_the_pinned_authority(master: Told) -> None:
    who = Rest(master.rest, master.pin).enrol(master.token)
    assert agent_of(x509.load_pem_x509_certificate(who.certificate_pem)) == who.agent


def test_a_master_without_the_pinned_authority_gets_no_token(master: Told) -> None:
    with pytest.raises(Invalid, match="pin"):
        Rest(master.rest, "sha256:" + "0" * 64)


def test_an_unknown_token_is_refused(master: Told) -> None:
    with pytest.raises(JoinError, match=r"401.*unknown"):
        Rest(master.rest, master.pin).enrol("guessed")


@pytest.mark.parametrize(
    "body", [{"token": "x"}, {"token": "x", "csr": "", "more": 1}, [], {"csr": "x" * 70_000}]
)
def test_a_body_that_is_no_enrolment_says_why(master: Told, body: object) -> None:
    rest = Rest(master.rest, master.pin)
    with pytest.raises(JoinError, match="422"):
        rest.post(enrolment.ENROLMENT_PATH, enrolment.EnrolledAnswer, body)
    with pytest.raises(JoinError, match=r"401.*csr"):
        rest.post(
            enrolment.ENROLMENT_PATH,
            enrolment.EnrolledAnswer,
            enrolment.EnrolmentRequest(master.token, "no CSR"),
        )


def renewal(who: Enrolment, *, signer: bytes = b"") -> enrolment.RenewalRequest:
    key = load_pem_private_key(signer or who.key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    csr = new_csr(new_key())
    signature = sign_challenge(key, who.agent, csr)
    return enrolment.RenewalRequest(who.certificate_pem.decode(), csr.decode(), signature)


def test_a_valid_certificate_is_renewed_for_who_holds_its_key(master: Told) -> None:
    rest = Rest(master.rest, master.pin)
    who, other = rest.enrol(master.token), rest.enrol(master.token)
    answer = rest.post(enrolment.RENEWAL_PATH, enrolment.EnrolledAnswer, renewal(who))
    assert answer.agent == who.agent
    renewed = x509.load_pem_x509_certificate(answer.certificate.encode())
    assert agent_of(renewed) == who.agent
    assert answer.certificate.encode() != who.certificate_pem
    for wrong, says in (
        (renewal(who, signer=other.key_pem), "signature"),
        (replace_certificate(renewal(who), master.pin), "certificate"),
    ):
        with pytest.raises(JoinError, match=rf"(401|422).*{says}"):
            rest.post(enrolment.RENEWAL_PATH, enrolment.EnrolledAnswer, wrong)


def replace_certificate(request: enrolment.RenewalRequest, text: str) -> enrolment.RenewalRequest:
    return enrolment.RenewalRequest(text, request.csr, request.signature)


def test_the_authority_is_kept_over_restarts(tmp_path: Path) -> None:
    kept = f"--authority={tmp_path / 'authority'}"
    with fake_master(tmp_path, kept) as first:
        pin = first.pin
    with fake_master(tmp_path, kept) as second:
        assert second.pin == pin


def test_config_that_is_none_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[node]\n")
    ran = subprocess.run(
        [HEADGATE, "dev", "fake-master", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 78
    assert "a.toml" in ran.stderr
    assert "no kind of resource" in ran.stderr
