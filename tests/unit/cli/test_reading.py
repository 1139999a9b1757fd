"""A command waits for its config as long as a file system may take, and no longer."""

import threading
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest
from waiting import DEADLINE_S

from headgate.cli import reading
from headgate.cli.reading import answered, read
from headgate.cli.unanswered import UnansweredError
from headgate.providers.file import disk
from headgate.providers.file.disk import DiskFiles

CONFIG = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
respond = { status = 204 }
"""


class _Clock:
    """Takes the place of the module `time`: only looks at what does not answer take their time."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.stalls = threading.Event()

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    """The clock of readings."""
    found = _Clock()
    monkeypatch.setattr(reading, "time", found)
    monkeypatch.setattr(disk, "time", found)
    return found


@pytest.fixture(autouse=True)
def looks(monkeypatch: pytest.MonkeyPatch, clock: _Clock) -> list[float | None]:
    """How long each look waited for the reading, at most."""
    found: list[float | None] = []
    join = threading.Thread.join

    def joined(thread: threading.Thread, timeout: float | None = None) -> None:
        join(thread, timeout)
        if thread.name == "read":
            found.append(timeout)
            if clock.stalls.is_set():
                clock.now += timeout or 0.0

    monkeypatch.setattr(reading, "_LOOK_S", 0.01)
    monkeypatch.setattr(threading.Thread, "join", joined)
    return found


class _Stalled(DiskFiles):
    """A file system on which a name answers when it is told to, within a look as in a read."""

    def __init__(self, name: str, clock: _Clock) -> None:
        super().__init__()
        self.answers = threading.Event()
        self._name = name
        self._clock = clock

    def read(self, path: PurePath) -> bytes:
        if path.name == self._name:
            with self._at(path):
                self._clock.stalls.set()
                self.answers.wait(DEADLINE_S)
        return super().read(path)


@pytest.mark.parametrize("name", ["a.toml", "more.toml"])
def test_what_does_not_answer_is_named(
    tmp_path: Path, name: str, looks: list[float | None], clock: _Clock
) -> None:
    (tmp_path / "a.toml").write_text('include = ["more.toml"]\n' + CONFIG)
    (tmp_path / "more.toml").write_text("")
    files = _Stalled(name, clock)
    with pytest.raises(UnansweredError) as wrong:
        read([tmp_path / "a.toml"], {}, files, read_s=0.05)
    files.answers.set()
    assert str(wrong.value).startswith(f"{tmp_path / name} does not answer (waited 0 s); mend its")
    assert set(looks) == {0.01}, "it waits in between"


def test_a_reading_that_never_ends_keeps_no_command_from_ending(
    tmp_path: Path, clock: _Clock
) -> None:
    (tmp_path / "a.toml").write_text(CONFIG)
    files = _Stalled("a.toml", clock)
    with pytest.raises(UnansweredError):
        read([tmp_path / "a.toml"], {}, files, read_s=0.05)
    left = [one for one in threading.enumerate() if one.name == "read"]
    files.answers.set()
    assert left
    assert all(one.daemon for one in left)


def test_a_config_that_takes_too_long_as_a_whole_is_given_up(tmp_path: Path, clock: _Clock) -> None:
    (tmp_path / "a.toml").write_text(CONFIG)
    files = _Stalled("a.toml", clock)
    with pytest.raises(UnansweredError, match=r"did not end within 0.05 s; make it smaller"):
        read([tmp_path / "a.toml"], {}, files, load_s=0.05)
    files.answers.set()


def test_lines_that_do_not_come_are_named(tmp_path: Path, clock: _Clock) -> None:
    class Stalled(DiskFiles):
        answers = threading.Event()

        def lines(self, path: PurePath) -> Iterator[bytes]:
            for line in super().lines(path):
                yield line
                clock.stalls.set()
                self.answers.wait(DEADLINE_S)

    log = tmp_path / "access.log"
    log.write_text("a\nb\n")
    files = Stalled()
    with pytest.raises(UnansweredError, match=r"access.log does not answer \(waited 0 s\)"):
        answered(files, lambda: list(files.lines(log)), read_s=0.05)
    files.answers.set()
    assert answered(files, lambda: list(files.lines(log))) == [b"a", b"b"]


def test_what_answers_is_read_and_an_error_inside_is_raised(tmp_path: Path, clock: _Clock) -> None:
    (tmp_path / "a.toml").write_text(CONFIG)
    files = _Stalled("a.toml", clock)
    files.answers.set()
    assert read([tmp_path / "a.toml"], {}, files).plan is not None

    class Broken(DiskFiles):
        def read(self, path: PurePath) -> bytes:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read([tmp_path / "a.toml"], {}, Broken())
