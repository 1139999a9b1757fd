"""Who an agent is, on disk: a key of its own, and what the master gave it."""

import stat
from pathlib import Path

import pytest
from cryptography import x509

from headgate.providers.master.identity import IdentityError, IdentityStore, request


def test_the_key_is_made_once_and_only_its_user_may_read_it(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path / "master")
    pem = store.key_pem()
    assert IdentityStore(tmp_path / "master").key_pem() == pem
    assert stat.S_IMODE((tmp_path / "master" / "agent.key").stat().st_mode) == 0o600


def test_a_request_is_signed_by_the_key(tmp_path: Path) -> None:
    key = IdentityStore(tmp_path).key()
    found = x509.load_pem_x509_csr(request(key, "a" * 100))
    assert found.is_signature_valid
    assert found.public_key() == key.public_key()


def test_without_an_enrolment_there_is_no_identity(tmp_path: Path) -> None:
    assert IdentityStore(tmp_path).identity() is None


@pytest.mark.parametrize("name", ["agent.key", "identity.json"])
def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"{}")
    store = IdentityStore(tmp_path)
    with pytest.raises(IdentityError, match="enrol again"):
        store.key() if name == "agent.key" else store.identity()


def test_each_start_has_a_later_epoch_also_after_the_counter_was_lost(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path)
    assert [store.next_epoch() for _ in range(3)] == [1, 2, 3]
    (tmp_path / "epoch").write_text("x")
    lost = store.next_epoch()
    assert lost > 3
    assert store.next_epoch() == lost + 1
