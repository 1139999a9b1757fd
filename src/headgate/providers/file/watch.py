"""Notices changes of a config's files.

It watches directories, not files: a replaced file, a swapped symlink (as Kubernetes does with
ConfigMaps) and a lost permission all show there. An event only triggers a look; a change is
reported when the files differ from those that were read.

It runs in a thread of its own: a file system that does not answer blocks nothing else.
"""

# ruff: noqa: PTH100, PTH112 - os.path says no where pathlib raises
import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Final, NamedTuple

import structlog
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from headgate.compile.loaded import Watched
from headgate.providers.file.disk import DiskFiles, Mark, mark

_log = structlog.get_logger()


class Pace(NamedTuple):
    """The intervals of its looks and the lengths of its waits; seconds."""

    step_s: float = 0.075
    """The interval at which it polls the kernel's events, all day long: this is what waiting costs.

    A change is reported at the second look after it, so within twice this time.
    """
    group_s: float = 0.1
    """The time that it waits for more after the first event: an editor writes in several steps."""
    settle_s: float = 0.5
    """The time that files must be left alone when some came, went or were emptied: a directory is
    being copied, and half of it is another config."""
    settle_most_s: float = 10.0
    """A change is reported after this time even if files change all the time."""
    look_anyway_s: float = 5.0
    """The interval of looks at the files without any event: network file systems send none."""
    poll_s: float = 1.0
    """The same where the kernel gives us no events (at its limit of inotify instances)."""
    retry_s: float = 1.0
    """The time from an error to the next try."""


PACE: Final = Pace()

_NOT_UTF8: Final = "Unable to decode path"
"""The beginning of watchfiles' complaint about the name of a file."""

Fingerprint = frozenset[tuple[PurePath, Mark]]
"""The state of files from outside."""


class Known(NamedTuple):
    """The state of the files since a config was last read."""

    watched: Watched
    seen: Fingerprint
    """The state of the files at the reading."""
    number: int
    """Counts the readings."""


def fingerprint(watched: Watched) -> Fingerprint:
    """Returns what the watched files look like now, symlinks followed."""
    return frozenset((path, mark(path)) for path in files_of(watched))


def files_of(watched: Watched) -> Iterable[PurePath]:
    """Returns every watched file, missing ones included."""
    found = set(watched.files)
    for pattern in watched.globs:
        with contextlib.suppress(OSError):
            found.update(DiskFiles().glob(pattern))
    return found


def directories(watched: Watched) -> frozenset[Path]:
    """Returns the directories to watch: those of each path as written, and of its target.

    For a missing directory, the nearest existing one above it.
    """
    found: set[Path] = set()
    for path in (*files_of(watched), *watched.globs):
        with contextlib.suppress(ValueError):  # no file can have that name
            parent = Path(os.path.abspath(path)).parent
            found |= {parent, Path(os.path.realpath(path)).parent, Path(os.path.realpath(parent))}
    return frozenset(map(_existing, found))


async def changes(known: Callable[[], Known], pace: Pace = PACE) -> AsyncIterator[None]:
    """Yields each time the watched files differ from those that were read.

    It calls `known` repeatedly, from another thread: another config may have other files. It
    reports the same change once per reading. Half a file is a change like any other: the reader
    refuses it and keeps what it has.
    """
    loop = asyncio.get_running_loop()
    news = asyncio.Event()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(news.set)

    watcher = Watcher(known, tell, pace)
    thread = threading.Thread(target=watcher.run, name="watch", daemon=True)
    thread.start()
    try:
        while True:
            await news.wait()
            news.clear()
            yield
    finally:
        watcher.stop.set()
        # A thread that returns from Rust while the interpreter ends would take the process down.
        thread.join(2 * pace.step_s + 0.1)


class Watcher:
    """Compares the files at every event; runs in a thread of its own."""

    def __init__(self, known: Callable[[], Known], tell: Callable[[], None], pace: Pace) -> None:
        self.stop = threading.Event()
        self._known = known
        self._tell = tell
        self._pace = pace
        self._told: tuple[int, Fingerprint] | None = None
        self._why = ""

    def run(self) -> None:
        """Watches until `stop` is set; survives every error."""
        while not self.stop.is_set():
            try:
                self._watch()
            except Exception as error:
                _log.error("config.not_watched", exc_info=error)
                self.stop.wait(self._pace.retry_s)

    def _watch(self) -> None:
        """Watches one set of directories until the set changes."""
        at = directories(self._known().watched)
        with self._events(at) as events:
            while not self.stop.is_set():
                number = self._known().number
                # Once before any event, too: nothing has reported changes until now.
                self._look()
                if directories(self._known().watched) != at:
                    return
                try:
                    self._wait(events, number)
                except WatchfilesRustInternalError as error:
                    if not str(error).startswith(_NOT_UTF8):
                        raise
                    return  # it has events no more, and this was one
                if events is None:
                    return  # the kernel may have events for us again

    def _wait(self, events: RustNotify | None, number: int) -> None:
        """Returns after an event, after another reading, or when it is time to look anyway."""
        pace = self._pace
        seconds = pace.poll_s if events is None else pace.look_anyway_s
        # Not by watchfiles' timeout: that follows the wall clock, which may be set back.
        end = time.monotonic() + seconds

        def is_over() -> bool:
            is_late = time.monotonic() >= end
            return is_late or self.stop.is_set() or self._known().number != number

        if events is not None:
            group_ms, step_ms = int(pace.group_s * 1000), int(pace.step_s * 1000)
            events.watch(group_ms, step_ms, 0, _Over(is_over))
        else:
            while not is_over():
                self.stop.wait(pace.step_s)

    @contextlib.contextmanager
    def _events(self, at: frozenset[Path]) -> Iterator[RustNotify | None]:
        """Returns the kernel's events in directories; None where it gives us none."""
        why = ""
        try:
            events = RustNotify([str(one) for one in sorted(at)], False, False, 0, False, True)
        except (WatchfilesRustInternalError, OSError) as error:
            why = str(error)
        if why and why != self._why:
            _log.warning("config.polled", reason=why, every_s=self._pace.poll_s)
        self._why = why
        if why:
            yield None
        else:
            with events:
                yield events

    def _look(self) -> None:
        known = self._known()
        now = fingerprint(known.watched)
        if now == known.seen or self._told == (known.number, now):
            return
        now = self._settled(known, now)
        known = self._known()  # another caller may have read them meanwhile
        if now == known.seen or self.stop.is_set():
            return
        self._told = (known.number, now)
        self._tell()

    def _settled(self, known: Known, now: Fingerprint) -> Fingerprint:
        """Returns what the files look like once they are left alone,
        if it looks as if they were copied.
        """
        end = time.monotonic() + self._pace.settle_most_s
        while _is_copied(known.seen, now) and time.monotonic() < end:
            self.stop.wait(self._pace.settle_s)
            later = fingerprint(known.watched)
            if later == now or self.stop.is_set():
                break
            now = later
        return now


def _is_copied(before: Fingerprint, now: Fingerprint) -> bool:
    """Reports whether files came, went or were emptied."""
    here, there = ({path for path, one in side if one.size} for side in (before, now))
    return here != there


class _Over(NamedTuple):
    """The stop condition that watchfiles checks at each of its steps."""

    is_set: Callable[[], bool]


def _existing(path: Path) -> Path:
    while not os.path.isdir(path) and path != path.parent:
        path = path.parent
    return path
