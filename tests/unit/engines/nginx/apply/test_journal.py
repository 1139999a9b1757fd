"""The journal: whole records or none, whatever a crash or a full disk leaves of the last one."""

import errno
import os
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines.nginx.apply import journal as module
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


def test_a_record_without_a_time_is_as_old_as_can_be() -> None:
    body = b'{"apply":1,"step":"done"}'
    assert decode(b"%08x %s" % (zlib.crc32(body), body)) == Record(1, "done", at=0.0)


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
    longer = encode(Record(7, "signal", detail="x" * 1_000))
    journal.path.write_bytes(whole + longer[:-1])
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
    journal.append(TWO)
    assert synced[2:] == [encode(ONE) + encode(TWO)]


def test_a_shorter_journal_is_on_disk_before_it_takes_the_place_of_the_longer_one(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Record(7, "done")
    journal.append(ONE)
    journal.append(end)
    size = journal.path.stat().st_size
    monkeypatch.setattr(module, "_COMPACT_BYTES", size + 1)
    journal.compact()
    assert journal.records() == (ONE, end)
    synced: list[tuple[bytes, bool]] = []
    sync = os.fsync

    def spy(fd: int) -> None:
        sync(fd)
        fresh = journal.path.with_name(".journal")
        there = fresh if fresh.exists() else journal.path
        synced.append((there.read_bytes(), there == fresh))

    monkeypatch.setattr(os, "fsync", spy)
    monkeypatch.setattr(module, "_COMPACT_BYTES", size)
    journal.compact()
    assert synced == [(encode(end), True), (encode(end), False)]


def test_a_journal_of_damaged_records_alone_is_not_shortened(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COMPACT_BYTES", 1)
    journal.path.write_bytes(b"damaged\n")
    journal.compact()
    assert journal.path.read_bytes() == b"damaged\n"


def test_the_journal_is_not_kept_open_and_what_cannot_be_opened_is_an_error(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fds: list[int] = []
    look = os.open

    def opened(path: Path, flags: int, mode: int = 0o777) -> int:
        fds.append(look(path, flags, mode))
        return fds[-1]

    monkeypatch.setattr(os, "open", opened)
    journal.append(ONE)
    assert fds and not [fd for fd in fds if Path(f"/proc/self/fd/{fd}").exists()]
    assert journal.path.stat().st_mode & 0o777 == 0o600
    lost = Journal(journal.path / "journal")
    with pytest.raises(JournalError) as caught:
        lost.append(ONE)
    assert str(caught.value) == f"{lost.path}: Not a directory"


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
