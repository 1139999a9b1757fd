"""Blobs that come in pieces: resumed where they stopped, verified when whole."""

from pathlib import Path

import pytest

from headgate.fleet.manifest import Entry, address
from headgate.providers.master.incoming import Incoming

BODY = b"0123456789"
NAME = address(BODY)
ENTRY = Entry(0o644, "routes/a.json", NAME, len(BODY))


@pytest.fixture
def incoming(tmp_path: Path) -> Incoming:
    return Incoming(tmp_path / "incoming")


def test_a_blob_comes_in_pieces_and_is_verified(incoming: Incoming) -> None:
    assert incoming.missing([ENTRY], {}) == [(NAME, 0)]
    assert incoming.write(NAME, 0, 10, BODY[:4]) is None
    assert incoming.missing([ENTRY], {}) == [(NAME, 4)]
    assert incoming.write(NAME, 4, 10, BODY[4:]) is True
    assert incoming.missing([ENTRY], {}) == []
    assert incoming.content([ENTRY]) == {NAME: BODY}


def test_a_wrong_blob_is_removed(incoming: Incoming) -> None:
    assert incoming.write(NAME, 0, 10, BODY[::-1]) is False
    assert incoming.missing([ENTRY], {}) == [(NAME, 0)]
    assert incoming.content([ENTRY]) == {}


def test_a_blob_that_was_damaged_on_disk_is_fetched_again(
    incoming: Incoming, tmp_path: Path
) -> None:
    incoming.write(NAME, 0, 10, BODY)
    (tmp_path / "incoming" / NAME).write_bytes(b"9876543210")
    assert incoming.missing([ENTRY], {}) == [(NAME, 0)]


def test_what_is_on_disk_already_is_not_fetched(incoming: Incoming) -> None:
    assert incoming.missing([ENTRY], {NAME: BODY}) == []


def test_what_no_manifest_names_is_removed(incoming: Incoming, tmp_path: Path) -> None:
    incoming.write(NAME, 0, 10, BODY)
    incoming.missing([], {})
    assert not list((tmp_path / "incoming").iterdir())


def test_an_empty_blob_is_fetched_once(incoming: Incoming) -> None:
    empty = Entry(0o644, "secrets/none", address(b""), 0)
    assert incoming.missing([empty], {}) == [(empty.sha256, 0)]
    assert incoming.write(empty.sha256, 0, 0, b"") is True
    assert incoming.missing([empty], {}) == []


def test_a_name_that_is_no_address_touches_nothing(incoming: Incoming) -> None:
    with pytest.raises(ValueError, match="not a content address"):
        incoming.write("../key", 0, 1, b"x")
