"""The file of what checks concluded."""

from pathlib import Path

from headgate.engines.nginx.checks.answer import Failure
from headgate.engines.nginx.checks.known import FILE, Known, KnownHealth

DOWN: Known = {
    ("app", "127.0.0.1:1"): Failure("check-status", "the status is 500"),
    ("app", "127.0.0.1:2"): None,
}


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_it_is_believed_for_a_minute_from_when_it_was_last_true(tmp_path: Path) -> None:
    clock = Clock()
    kept = KnownHealth(tmp_path, clock)
    assert kept.read() == {}
    (tmp_path / FILE).touch()
    kept.write(DOWN)
    for _ in range(3):
        kept.write(DOWN)
        clock.now += 60
        assert KnownHealth(tmp_path, clock).read() == DOWN
        kept.write(DOWN)
    clock.now += 61
    assert KnownHealth(tmp_path, clock).read() == {}
    kept.write({})
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_and_a_missing_folder_say_nothing(tmp_path: Path) -> None:
    clock = Clock()
    kept = KnownHealth(tmp_path, clock)
    kept.write(DOWN)
    kept.write(DOWN)
    (tmp_path / FILE).write_text("{")
    assert kept.read() == {}
    KnownHealth(tmp_path / "gone", clock).write(DOWN)
