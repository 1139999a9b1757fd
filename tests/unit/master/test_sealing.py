"""Secrets at rest: sealed, bound to what they are, and opened by the right key only."""

from pathlib import Path

import pytest

from headgate.master.store.errors import StartError
from headgate.master.store.sealing import (
    Sealer,
    SealError,
    forget_older_keys,
    key_name_of,
    load_sealer,
    new_key_file,
)

ONE, TWO = bytes(32), bytes([1] * 32)


def test_what_was_sealed_can_be_opened_and_is_not_readable() -> None:
    sealed = Sealer([ONE]).seal(b"secret", "a key")
    assert "secret" not in sealed
    assert Sealer([TWO, ONE]).open(sealed, "a key") == b"secret"


def test_another_key_context_or_text_opens_nothing() -> None:
    sealed = Sealer([ONE]).seal(b"secret", "a key")
    for sealer, text, context in (
        (Sealer([TWO]), sealed, "a key"),
        (Sealer([ONE]), sealed, "another key"),
        (Sealer([ONE]), sealed.replace('"sealed": "', '"sealed": "AAAA'), "a key"),
        (Sealer([ONE]), "{}", "a key"),
        (Sealer([ONE]), "x", "a key"),
    ):
        with pytest.raises(SealError):
            sealer.open(text, context)


def test_a_secret_wrapped_again_needs_the_old_key_no_more() -> None:
    both = Sealer([TWO, ONE])
    sealed = both.rewrapped(Sealer([ONE]).seal(b"secret", "a key"), "a key", both.names[0])
    assert Sealer([TWO]).open(sealed, "a key") == b"secret"


def test_the_order_of_the_file_is_followed_when_its_first_key_seals(tmp_path: Path) -> None:
    file = tmp_path / "key"
    sealer = load_sealer(file, None)
    before = sealer.seal(b"secret", "a key")
    new_key_file(file, file.read_text())
    older, newer = sealer.names[0], load_sealer(file, None).names[0]
    sealer.follow(older)  # no rotation yet
    assert key_name_of(sealer.seal(b"secret", "a key")) == older
    sealer.follow(newer)
    assert sealer.names == (newer, older)
    assert key_name_of(sealer.seal(b"secret", "a key")) == newer
    sealer.follow("unknown")
    forget_older_keys(file)
    assert sealer.names == (newer, older)
    assert sealer.open(before, "a key") == b"secret"
    assert key_name_of(sealer.seal(b"secret", "a key", key=older)) == older


def test_the_key_file_is_made_once_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "key"
    sealed = load_sealer(file, None).seal(b"secret", "a key")
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_sealer(file, None).open(sealed, "a key") == b"secret"
    new_key_file(file, file.read_text())
    assert load_sealer(file, None).open(sealed, "a key") == b"secret"


@pytest.mark.parametrize("text", ["", "short", "AAAA", "ü" * 44])
def test_what_is_not_a_key_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(StartError, match="32 bytes"):
        load_sealer(tmp_path / "key", text)
    assert not (tmp_path / "key").exists()
