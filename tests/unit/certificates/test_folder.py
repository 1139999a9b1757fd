"""The authorities on disk: nobody else reads a key, and a crash leaves a whole state."""

import datetime as dt
from pathlib import Path

import pytest

from headgate.certificates import authority as ca
from headgate.certificates.folder import AuthorityFolder
from headgate.kernel.errors import Invalid

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)


def test_the_first_authority_is_made_once_and_kept(tmp_path: Path) -> None:
    folder = AuthorityFolder(tmp_path / "ca")
    first = folder.load_or_create("fleet", NOW)
    assert folder.load_or_create("fleet", NOW).pem == first.pem
    (key,) = (tmp_path / "ca").glob("*.key")
    assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "ca").stat().st_mode & 0o777 == 0o700


def test_a_rotation_survives_restarts_and_removes_the_old_key(tmp_path: Path) -> None:
    folder = AuthorityFolder(tmp_path, b"secret")
    folder.save(folder.load_or_create("fleet", NOW).announced(ca.create("fleet", NOW)))
    assert folder.load().stage == "announced"
    folder.save(folder.load().switched())
    assert folder.load().stage == "switched"
    assert len(list(tmp_path.glob("*.key"))) == 2
    folder.save(folder.load().finished())
    assert folder.load().stage == "steady"
    (key,) = tmp_path.glob("*.key")
    assert b"ENCRYPTED" in key.read_bytes()


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = AuthorityFolder(tmp_path)
    folder.load_or_create("fleet", NOW)
    (key,) = tmp_path.glob("*.key")
    key.chmod(0o640)
    with pytest.raises(Invalid, match="chmod 600"):
        folder.load()


def test_what_a_crash_left_half_written_does_not_count(tmp_path: Path) -> None:
    folder = AuthorityFolder(tmp_path)
    first = folder.load_or_create("fleet", NOW)
    (tmp_path / ".authorities.json.new").write_text("{")
    successor = ca.create("fleet", NOW)
    mark = ca.pin(successor.certificate).removeprefix("sha256:")[:16]
    (tmp_path / f".ca-{mark}.key.new").write_text("half")
    assert folder.load().pem == first.pem
    folder.save(first.announced(successor))
    assert folder.load().stage == "announced"


@pytest.mark.parametrize("text", ["", "{}", '{"issuing": 1, "trusted": ["x"]}', "[]"])
def test_a_damaged_index_is_not_taken_for_a_new_folder(tmp_path: Path, text: str) -> None:
    folder = AuthorityFolder(tmp_path)
    folder.load_or_create("fleet", NOW)
    (tmp_path / "authorities.json").write_text(text)
    with pytest.raises(Invalid, match="damaged"):
        folder.load_or_create("fleet", NOW)
