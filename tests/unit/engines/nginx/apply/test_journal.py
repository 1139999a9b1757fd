"""The journal: whole records or none, whatever a crash or a full disk leaves of the last one."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.apply.journal import (
    STEPS,
    Journal,
    JournalError,
    Record,
    decode,
    encode,
)
from headgate.engines.nginx.releases.names import ReleaseName

NAMES = st.builds(
    ReleaseName, st.integers(1, 10**17), st.text("0123456789abcdef", min_size=12, max_size=12)
)
RECORDS = st.builds(
    Record,
    apply=st.integers(1, 10**12),
    step=st.sampled_from(STEPS),
    release=st.none() | NAMES,
    fallbacks=st.lists(NAMES, max_size=3).map(tuple),
    target=st.none() | NAMES,
    at=st.floats(0, 1e10),
    detail=st.text(max_size=20),
)
ONE = Record(7, "swap", ReleaseName(7, "0" * 12), (ReleaseName(6, "1" * 12),), at=1.5)
TWO = Record(7, "signal", ReleaseName(7, "0" * 12), detail="12:34")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@given(RECORDS)
def test_a_record_is_one_line_and_comes_back(record: Record) -> None:
    line = encode(record)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert decode(line[:-1]) == record


@given(RECORDS, st.data())
def test_a_flipped_byte_is_noticed(record: Record, data: st.DataObject) -> None:
    line = bytearray(encode(record)[:-1])
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(line)) in {None, record}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_none(line: bytes) -> None:
    decode(line)


def test_records_come_back_in_order(journal: Journal) -> None:
    assert journal.records() == ()
    journal.append(ONE)
    journal.append(TWO)
    assert journal.records() == (ONE, TWO)
    assert journal.highest_generation() == 7


def test_a_torn_last_record_counts_as_never_written_and_is_cut_off(journal: Journal) -> None:
    journal.append(ONE)
    whole = journal.path.read_bytes()
    line = encode(TWO)
    for torn in range(1, len(line)):
        journal.path.write_bytes(whole + line[:torn])
        assert journal.records() == (ONE,)
    journal.append(TWO)
    assert journal.records() == (ONE, TWO)
    assert journal.path.read_bytes() == whole + line


def test_a_damaged_record_hides_no_other(journal: Journal) -> None:
    journal.append(ONE)
    journal.append(ONE)
    journal.append(TWO)
    data = bytearray(journal.path.read_bytes())
    data[len(encode(ONE)) + 20] ^= 1
    journal.path.write_bytes(data)
    assert journal.records() == (ONE, TWO)


def test_a_record_is_on_disk_before_append_returns(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []
    sync = os.fsync

    def spy(fd: int) -> None:
        sync(fd)
        synced.append(journal.path.read_bytes())

    monkeypatch.setattr(os, "fsync", spy)
    journal.append(ONE)
    assert synced[0] == encode(ONE)
    assert len(synced) == 2, "the file, and once the folder that got a new name"


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_full_disk_leaves_the_journal_as_it_was(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    journal.append(ONE)
    before = journal.path.read_bytes()
    write = os.pwrite

    def short(fd: int, data: bytes, at: int) -> int:
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[:room], at)

    monkeypatch.setattr(os, "pwrite", short)
    with pytest.raises(JournalError, match=r"(?i)no space left"):
        journal.append(TWO)
    assert journal.path.read_bytes() == before


def test_only_a_long_journal_without_an_open_apply_is_shortened(journal: Journal) -> None:
    end = Record(7, "done", detail="x" * 1_000)
    for _ in range(80):
        journal.append(end)
    journal.append(ONE)
    journal.compact()
    assert len(journal.records()) == 81
    journal.append(end)
    journal.compact()
    assert journal.records() == (end,)
    assert journal.highest_generation() == 7
    journal.compact()


def test_a_journal_that_is_not_there_has_nothing_to_shorten(journal: Journal) -> None:
    journal.compact()
    assert not journal.path.exists()


def test_a_journal_that_cannot_be_shortened_stays_as_it_was(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(80):
        journal.append(Record(7, "done", detail="x" * 1_000))
    before = journal.path.read_bytes()

    def full(fd: int) -> None:
        del fd
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JournalError, match=r"(?i)no space left"):
        journal.compact()
    assert journal.path.read_bytes() == before


def test_the_highest_generation_is_that_of_any_record(journal: Journal) -> None:
    assert journal.highest_generation() == 0
    for apply in (3, 7, 5):
        journal.append(Record(apply, "fetch", at=1.0))
    assert journal.highest_generation() == 7
