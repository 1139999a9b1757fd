"""An access log as tests read it (tests/support/access_log.py)."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import waiting
from access_log import AccessLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait fails after its first look."""
    monkeypatch.setattr(waiting.Deadline, "has_passed", lambda _: True)


@pytest.fixture
def writer(path: Path) -> Iterator[threading.Thread]:
    """Who writes the log byte by byte, once started."""
    text = '{"n": 1, "route": "a"}\n{"n": 2, "route": "b"}\n{"n": 3, "route": "a"}\n{"n": 4'

    def write() -> None:
        with path.open("w", buffering=1) as log:
            for byte in text:
                log.write(byte)
                log.flush()

    thread = threading.Thread(target=write)
    yield thread
    thread.join()


def test_lines_that_come_later_are_waited_for(path: Path, writer: threading.Thread) -> None:
    log = AccessLog(path)
    writer.start()
    assert log.line(n=2) == {"n": 2, "route": "b"}
    assert [line["n"] for line in log.lines(2, route="a")] == [1, 3]
    assert [line["n"] for line in log.lines(3)] == [1, 2, 3]


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("written", [None, b"", b'{"n": 1}', b'{"n": 1}\n{"n'])
def test_a_missing_log_and_half_a_line_are_no_lines(path: Path, written: bytes | None) -> None:
    if written is not None:
        path.write_bytes(written)
    for look in (AccessLog(path).texts, AccessLog(path).lines):
        with pytest.raises(AssertionError, match=r"2 lines of .*access\.log"):
            look(2)
    with pytest.raises(AssertionError, match="'route': 'a'"):
        AccessLog(path).line(route="a")


def test_a_line_ends_at_a_line_feed_only(path: Path) -> None:
    path.write_bytes('"forged\r\u2028\x85"\nnext\n'.encode())
    assert AccessLog(path).texts(2) == ['"forged\r\u2028\x85"', "next"]


def test_a_look_that_waits_for_nothing_is_refused(path: Path) -> None:
    for look in (AccessLog(path).texts, AccessLog(path).lines):
        with pytest.raises(AssertionError, match="proves nothing"):
            look(0)
