"""What is read from the disk, and what is refused in bounded time and memory."""

import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest

from headgate.providers.file import disk
from headgate.providers.file.disk import NOTHING, DiskFiles, mark


def test_files_on_disk_are_found_by_pattern(tmp_path: Path) -> None:
    for name in ("b.toml", "a.toml", "c.yaml"):
        (tmp_path / name).write_text("x")
    (tmp_path / "d.toml").mkdir()
    files = DiskFiles()
    assert files.glob(tmp_path / "*.toml") == [tmp_path / "a.toml", tmp_path / "b.toml"]
    assert files.glob(tmp_path / "nothing.toml") == []
    assert files.glob(tmp_path / "a.toml") == [tmp_path / "a.toml"]
    assert files.glob(tmp_path / "nowhere" / "*.toml") == []
    assert files.is_directory(tmp_path)
    assert files.read(PurePath(tmp_path / "a.toml")) == b"x"


def test_hidden_files_are_found_by_patterns_for_hidden_files_only(tmp_path: Path) -> None:
    (tmp_path / ".#main.toml").symlink_to("somebody@host.1234")  # Emacs edits main.toml
    (tmp_path / ".main.toml").write_text("x")
    assert DiskFiles().glob(tmp_path / "*.toml") == []
    assert DiskFiles().glob(tmp_path / "?main.toml") == []
    assert DiskFiles().glob(tmp_path / ".m*.toml") == [tmp_path / ".main.toml"]


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Memory for a file of the largest size that is read, not for one without end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 8 * disk.MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pipe", "it is a named pipe"),
        ("socket", "it is a socket"),
        ("folder", "it is a directory"),
        ("zero", "it is a device"),
        ("huge", "it has more than"),
        ("a\0b", "no file can have this name"),
        ("loop", "symbolic links"),
        ("x" * 300, "name too long"),
        ("nothing", "no such file"),
    ],
)
def test_what_is_no_file_of_bounded_size_is_refused_by_name(
    tmp_path: Path, name: str, why: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listening, (tmp_path / "huge").open("wb") as huge:
        listening.bind(str(tmp_path / "socket"))
        huge.truncate(disk.MOST_BYTES + 1)
        with pytest.raises(OSError) as refused:
            DiskFiles().read(tmp_path / name)
    assert why in (refused.value.strerror or "").lower()


def test_patterns_that_no_file_can_match_match_none(tmp_path: Path) -> None:
    files = DiskFiles()
    long = ("x" * 5000, "x*" + "y" * 300)
    for pattern in ("/", str(tmp_path), "a**b", "**", "[", "a\0b", "a\0*", "a\0b/*", *long):
        assert files.glob(tmp_path / pattern) == [], pattern


def test_a_mark_is_that_of_the_first_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a")
    before = mark(path)
    files = DiskFiles()
    files.read(path)
    path.write_text("bb")
    files.read(path)
    assert files.marks == {path: before}
    assert mark(path) != before
    os.mkfifo(tmp_path / "pipe")
    assert mark(tmp_path / "pipe") != NOTHING
    assert mark(tmp_path) == NOTHING


def test_what_is_read_is_known_while_it_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a")
    files = DiskFiles()
    real = os.open

    def look(*arguments: object, **named: object) -> int:
        assert files.reading is not None
        assert files.reading.path == str(path)
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", look)
    files.read(path)
    assert files.reading is None


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"\n\nb\r\n", [b"", b"", b"b\r"]),
        (b"x" * (1 << 20) + b"\ny\n", [b"x" * (1 << 20), b"y"]),
    ],
)
def test_lines_are_those_of_the_whole_text(
    tmp_path: Path, content: bytes, lines: list[bytes]
) -> None:
    (tmp_path / "log").write_bytes(content)
    assert list(DiskFiles().lines(tmp_path / "log")) == lines


def test_lines_end_where_the_file_ended_at_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first\n")
    lines = DiskFiles().lines(log)
    assert next(lines) == b"first"
    with log.open("ab") as more:
        more.write(b"second\n")
    assert list(lines) == []


def test_a_line_that_never_ends_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"a\n" + b"x" * (3 << 20))
    with pytest.raises(OSError, match="it has a line of more than 1048576 bytes"):
        list(DiskFiles().lines(tmp_path / "log"))
