"""What an agent takes from the answer to a renewal, which nobody signed."""

import base64
from pathlib import Path
from typing import Any

import loops
import msgspec
import pytest
from fleet_ends import now
from odd_certificates import version_2

from headgate.certificates.authority import create, new_csr, new_key
from headgate.node.agent.enrolling import EnrolmentError
from headgate.node.agent.office import Newcomer, RestOffice
from headgate.node.agent.url import MasterUrl
from headgate.providers.master.identity import Identity, IdentityStore

CA = create("fleet", now())
KEY, OTHER = b"k" * 32, b"x" * 32


class Stage:
    """An agent that has enrolled, and the answer to its renewal."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = IdentityStore(folder)
        certificate = self.issued()
        self.identity = Identity("a", "m", certificate, CA.pem.decode(), (KEY,), is_pinned=False)
        self.answer: dict[str, Any] = {
            "agent": "a",
            "certificate": certificate,
            "authorities": CA.pem.decode(),
            "manifest_keys": [base64.b64encode(KEY).decode()],
        }
        url = MasterUrl("grpcs", "master.example")
        self.office = RestOffice(url, self.store, None, Newcomer("a"))
        encoded = lambda *_: msgspec.json.encode(self.answer)  # noqa: E731
        monkeypatch.setattr(self.office, "_asked", encoded)

    def issued(self) -> str:
        """A certificate for the agent's own key."""
        return CA.client(new_csr(self.store.key()), "a", now()).decode()

    def renewed(self) -> Identity:
        return loops.run(self.office.renew(self.identity))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def test_a_renewal_brings_a_certificate_and_authorities(stage: Stage) -> None:
    stage.answer["certificate"] = fresh = stage.issued()
    stage.answer["authorities"] = two = CA.pem.decode() * 2
    found = stage.renewed()
    assert (found.certificate, found.ca, found.keys) == (fresh, two, (KEY,))
    assert not found.is_pinned


@pytest.mark.parametrize("keys", [[OTHER], [KEY, OTHER], []])
def test_the_keys_of_manifests_stay_those_of_the_enrolment(stage: Stage, keys: list[bytes]) -> None:
    stage.answer["manifest_keys"] = [base64.b64encode(key).decode() for key in keys]
    assert stage.renewed().keys == (KEY,)


def test_an_agent_that_got_no_keys_takes_those_of_a_renewal(stage: Stage) -> None:
    stage.identity = msgspec.structs.replace(stage.identity, keys=())
    assert stage.renewed().keys == (KEY,)


def test_a_renewal_for_another_agent_is_refused(stage: Stage) -> None:
    stage.answer["agent"] = "b"
    with pytest.raises(EnrolmentError, match="for another agent, or for another key") as refused:
        stage.renewed()
    assert not refused.value.is_final


def test_a_certificate_for_another_key_is_refused(stage: Stage) -> None:
    stage.answer["certificate"] = CA.client(new_csr(new_key()), "a", now()).decode()
    with pytest.raises(EnrolmentError, match="for another agent, or for another key") as refused:
        stage.renewed()
    assert not refused.value.is_final


def test_a_certificate_that_cannot_be_read_is_no_renewal(stage: Stage) -> None:
    stage.answer["certificate"] = version_2().decode()
    with pytest.raises(EnrolmentError, match="something else than an enrolment"):
        stage.renewed()
