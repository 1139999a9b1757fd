"""The starts of a control process that did not last."""

from pathlib import Path

from headgate.node.agent.starts import Starts


def started(folder: Path) -> Starts:
    starts = Starts(folder)
    starts.begun()
    return starts


def test_starts_that_did_not_last_are_counted(tmp_path: Path) -> None:
    assert [started(tmp_path).failed for _ in range(4)] == [0, 1, 2, 3]


def test_one_that_lasted_ends_the_count(tmp_path: Path) -> None:
    for _ in range(3):
        last = started(tmp_path)
    last.lasted()
    assert last.failed == 0
    assert [started(tmp_path).failed for _ in range(2)] == [0, 1]


def test_a_file_that_says_something_else_counts_nothing(tmp_path: Path) -> None:
    for text in (b"", b"many", b"-7", b"\xff"):
        (tmp_path / "starts").write_bytes(text)
        assert started(tmp_path).failed == 0


def test_a_folder_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    starts = started(tmp_path / "file")
    starts.lasted()
    assert starts.failed == 0
