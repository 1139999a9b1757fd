"""Seeing that files changed, on a real directory."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import loops
import pytest
import structlog
from waiting import DEADLINE_S, until
from watchfiles._rust_notify import WatchfilesRustInternalError

from headgate.compile.loaded import Watched
from headgate.providers.file import watch
from headgate.providers.file.disk import mark
from headgate.providers.file.watch import PACE, Known, Watcher, changes, directories, fingerprint

QUICK = PACE._replace(step_s=0.005, group_s=0.02, settle_s=0.02, look_anyway_s=3600.0)


def watching(*files: Path, globs: tuple[Path, ...] = ()) -> Watched:
    return Watched(frozenset(files), frozenset(globs))


class Reader:
    """Knows what it read last, as a source does."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.number = 0
        self.read()

    def read(self) -> None:
        self.number += 1
        self.known = Known(self.watched, fingerprint(self.watched), self.number)


async def seen(reader: Reader, act: Callable[[], object]) -> None:
    """Returns once a change is told after `act`."""
    told = changes(lambda: reader.known, QUICK)
    async with asyncio.timeout(DEADLINE_S):
        act()
        await _next(told)


async def in_time(work: Coroutine[None, None, None]) -> None:
    """The same, with a deadline."""
    async with asyncio.timeout(DEADLINE_S):
        await work


async def _next(told: AsyncIterator[None]) -> None:
    await anext(told)
    await told.aclose()  # type: ignore[attr-defined]


def test_a_file_that_is_written_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1")
    loops.run(seen(Reader(watching(path)), lambda: path.write_text("a = 22")))


def test_a_file_that_is_replaced_is_seen(tmp_path: Path) -> None:
    path, new = tmp_path / "a.toml", tmp_path / ".a.toml.swp"
    path.write_text("a = 1")

    def replace() -> None:
        new.write_text("a = 2")
        new.replace(path)

    loops.run(seen(Reader(watching(path)), replace))


def test_a_file_that_goes_and_comes_is_seen_even_with_its_directory(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a.toml"
    reader = Reader(watching(path))
    assert directories(reader.watched) == {tmp_path}

    def make() -> None:
        path.parent.mkdir()
        path.write_text("a = 1")

    loops.run(seen(reader, make))
    reader.read()
    loops.run(seen(reader, path.unlink))


def test_a_symlink_that_is_swapped_is_seen(tmp_path: Path) -> None:
    """As Kubernetes changes a mounted ConfigMap: a.toml → ..data/a.toml, ..data → a directory."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.toml").write_text(f"a = {version}")
    (tmp_path / "..data").symlink_to("1")
    path = tmp_path / "a.toml"
    path.symlink_to("..data/a.toml")

    def swap() -> None:
        (tmp_path / "..next").symlink_to("2")
        (tmp_path / "..next").replace(tmp_path / "..data")

    loops.run(seen(Reader(watching(path)), swap))


def test_what_a_symlink_leads_to_is_watched(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "real.toml").write_text("a = 1")
    path = tmp_path / "here" / "a.toml"
    path.parent.mkdir()
    path.symlink_to(elsewhere / "real.toml")
    reader = Reader(watching(path))
    assert directories(reader.watched) == {path.parent, elsewhere}
    loops.run(seen(reader, lambda: (elsewhere / "real.toml").write_text("a = 2 ")))


def test_permissions_that_change_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("key")
    reader = Reader(watching(path))
    before = mark(path)

    def change() -> None:
        # The clock of change times moves in steps of some milliseconds.
        def is_changed() -> bool:
            path.chmod(0o600)
            return mark(path) != before

        until(is_changed, "another change time")

    loops.run(seen(reader, change))


def test_a_new_file_that_an_include_matches_is_seen(tmp_path: Path) -> None:
    reader = Reader(watching(globs=(tmp_path / "*.toml",)))
    loops.run(seen(reader, lambda: (tmp_path / "new.toml").write_text("a = 1")))


def test_what_changed_before_anybody_watched_is_seen_at_once(tmp_path: Path) -> None:
    """Without an event, and long before the files are looked at anyway."""
    path = tmp_path / "a.toml"
    path.write_text("a = 1")
    reader = Reader(watching(path))
    path.write_text("a = 22")
    loops.run(seen(reader, lambda: None))


def test_the_directories_of_another_config_are_watched_at_once(tmp_path: Path) -> None:
    """Another config was read while we waited for events elsewhere; its files change then."""
    first, second = tmp_path / "one" / "a.toml", tmp_path / "two" / "b.toml"
    for path in (first, second):
        path.parent.mkdir()
        path.write_text("a = 1")
    reader = Reader(watching(first))

    async def play() -> None:
        told = changes(lambda: reader.known, QUICK)
        first.write_text("a = 22")
        await anext(told)
        reader.watched = watching(first, second)
        reader.read()
        second.write_text("a = 22")
        await _next(told)

    loops.run(in_time(play()))


def test_a_change_is_told_once_for_each_reading(tmp_path: Path) -> None:
    """Also a reading that breaks has been told; it does not run in a circle."""
    path = tmp_path / "a.toml"
    path.write_text("a = 1")
    reader = Reader(watching(path))
    told: list[int] = []
    watcher = Watcher(lambda: reader.known, lambda: told.append(1), QUICK)
    path.write_text("a = 22")
    for _ in range(3):
        watcher._look()
    assert len(told) == 1
    reader.number += 1  # read again, and seen as before: it is still another file
    reader.known = reader.known._replace(number=reader.number)
    for _ in range(3):
        watcher._look()
    assert len(told) == 2


def test_a_directory_that_is_copied_is_told_once_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rm *` and `cp`: each pause of the settling finds one file more."""
    names = ["a.toml", "b.toml", "c.toml"]
    for name in names:
        (tmp_path / name).write_text("x")
    reader = Reader(watching(globs=(tmp_path / "*.toml",)))
    for name in names:
        (tmp_path / name).unlink()
    there: list[set[str]] = []
    watcher = Watcher(
        lambda: reader.known,
        lambda: there.append({path.name for path in tmp_path.iterdir()}),
        PACE,
    )
    copied = iter(names)

    def pause(seconds: float | None = None) -> bool:
        assert seconds == PACE.settle_s
        name = next(copied, None)
        if name is not None:
            (tmp_path / name).write_text("new")
        return False

    monkeypatch.setattr(watcher.stop, "wait", pause)
    watcher._look()
    assert there == [set(names)]


def test_what_is_whole_again_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, aside = tmp_path / "a.toml", tmp_path / "aside"
    path.write_text("x")
    reader = Reader(watching(path))
    path.rename(aside)
    watcher = Watcher(lambda: reader.known, lambda: pytest.fail("it was told"), PACE)

    def pause(seconds: float | None = None) -> bool:
        if aside.exists():
            path.hardlink_to(aside)
            aside.unlink()
            reader.read()
        return False

    monkeypatch.setattr(watcher.stop, "wait", pause)
    watcher._look()


def test_without_events_of_the_kernel_the_files_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user may have 128 inotify instances; taking them all would end other programs' watches."""

    def none_left(*_: object) -> None:
        raise WatchfilesRustInternalError("Too many open files (os error 24)")

    monkeypatch.setattr(watch, "RustNotify", none_left)
    path = tmp_path / "a.toml"
    path.write_text("a = 1")
    reader = Reader(watching(path))
    told: list[int] = []
    watcher = Watcher(lambda: reader.known, lambda: told.append(1), QUICK._replace(poll_s=0.0))
    watcher._watch()
    assert told == []
    path.write_text("a = 22")
    watcher._watch()
    assert told == [1]


def test_an_error_does_not_end_the_watching(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1")
    reader = Reader(watching(path))
    real, calls = watch.directories, iter(range(3))

    def broken(watched: Watched) -> frozenset[Path]:
        if next(calls, None) is not None:
            raise RuntimeError("a fault of ours")
        return real(watched)

    monkeypatch.setattr(watch, "directories", broken)

    async def play() -> None:
        path.write_text("a = 22")
        await _next(changes(lambda: reader.known, QUICK._replace(retry_s=0.001)))

    loops.run(in_time(play()))


def test_names_that_are_not_utf8_are_names(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1")
    other = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.toml"))
    reader = Reader(watching(path, globs=(tmp_path / "*.toml",)))
    with structlog.testing.capture_logs() as logged:
        loops.run(seen(reader, lambda: other.write_text("")))
        reader.read()
        loops.run(seen(reader, lambda: path.write_text("a = 22")))
    assert logged == []


def test_waiting_costs_few_looks_and_a_change_is_told_within_150_ms() -> None:
    assert 1 / PACE.step_s < 15
    assert 2 * PACE.step_s <= 0.150
    assert PACE.group_s <= 2 * PACE.step_s


def test_other_files_of_the_directory_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1")
    watched = watching(path)
    before = fingerprint(watched)
    (tmp_path / "other.toml").write_text("")
    assert fingerprint(watched) == before
    os.utime(path, ns=(1, 1))
    assert fingerprint(watched) != before


def test_a_loop_of_symlinks_is_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.symlink_to(path)
    assert directories(watching(path)) == {tmp_path}
    assert fingerprint(watching(path)) == {(path, mark(tmp_path / "nothing"))}
