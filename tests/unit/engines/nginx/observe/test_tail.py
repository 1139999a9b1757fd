"""Log files that are renamed, truncated, absent or not files at all."""

import os
from pathlib import Path

import pytest

from headgate.engines.nginx.observe.tail import Mark, TailReader, mark


def _read(reader: TailReader) -> bytes:
    return b"".join(reader.read())


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_from_the_end_only_what_is_written_later_is_read(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("old\nbegun")
    with TailReader(str(log)) as reader:
        assert _read(reader) == b""
        _append(log, " before\nnew\n")
        assert _read(reader) == b"begun before\nnew\n"


def test_an_absent_file_is_read_from_its_first_byte_once_it_appears(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with TailReader(str(log)) as reader:
        assert _read(reader) == b""
        log.write_text("first\n")
        assert _read(reader) == b"first\n"


def test_a_renamed_file_is_read_on_until_nobody_writes_to_it(tmp_path: Path) -> None:
    log, old = tmp_path / "access.log", tmp_path / "access.log.1"
    log.write_text("")
    with TailReader(str(log)) as reader:
        assert _read(reader) == b""
        writer = log.open("a")
        writer.write("one\n")
        writer.flush()
        log.rename(old)
        log.write_text("three\n")
        writer.write("two\n")
        writer.flush()
        assert _read(reader) == b"one\ntwo\nthree\n"
        writer.write("late\n")
        writer.flush()
        assert _read(reader) == b"late\n"
        assert reader.rotations == 1
        for _ in range(60):
            assert _read(reader) == b""
        writer.write("too late\n")
        writer.close()
        assert _read(reader) == b""


@pytest.mark.parametrize("then", ["2\n", "two\n", "twenty-two\n"])
def test_a_file_that_was_copied_and_truncated_loses_nothing_written_after(
    tmp_path: Path, then: str
) -> None:
    log = tmp_path / "access.log"
    log.write_text("one\n")
    with TailReader(str(log), "start") as reader:
        assert _read(reader) == b"one\n"
        os.truncate(log, 0)
        _append(log, then)
        seen = _read(reader)
        _append(log, "three\n")
        assert seen + _read(reader) == then.encode() + b"three\n"
        assert reader.losses.truncations == 1


def test_from_a_mark_what_came_after_it_is_read(tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    log.write_text("before\n")
    place = mark(str(log))
    assert place is not None
    _append(log, "after\n")
    with TailReader(str(log), place) as reader:
        assert _read(reader) == b"after\n"
        assert reader.is_continuous
        assert reader.position == Mark(place.device, place.inode, 13)


@pytest.mark.parametrize("what", ["rotated", "truncated", "gone"])
def test_a_mark_of_a_file_that_is_no_longer_it_is_said_to_be_broken(
    tmp_path: Path, what: str
) -> None:
    log = tmp_path / "error.log"
    log.write_text("before\n")
    place = mark(str(log))
    if what == "rotated":
        log.rename(tmp_path / "error.log.1")
        log.write_text("other\n")
    elif what == "truncated":
        log.write_text("less\n")
    else:
        log.unlink()
    with TailReader(str(log), place or "start") as reader:
        expected = {"rotated": b"other\n", "truncated": b"less\n", "gone": b""}
        assert _read(reader) == expected[what]
        assert not reader.is_continuous


def test_there_is_no_mark_without_a_file(tmp_path: Path) -> None:
    assert mark(str(tmp_path / "none")) is None


def test_a_pipe_is_left_alone(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with TailReader(str(pipe)) as reader, pytest.raises(OSError, match="not a regular file"):
        _read(reader)
