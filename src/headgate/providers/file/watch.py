"""Seeing that the files of a config changed.

Directories are watched, not files: a file that is replaced, a symlink that is swapped (as
Kubernetes does with ConfigMaps), a permission that is lost all show there. What is seen is only
the occasion to look; a change is told when the files' fingerprint is another one.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path, PurePath
from typing import Final, NamedTuple

from watchfiles import awatch

from headgate.compile.loaded import Watched
from headgate.providers.file.disk import DiskFiles

DEBOUNCE_MS: Final = 100
"""How long after the first event more are waited for: an editor writes in several steps."""

STEP_MS: Final = 75
"""How often watchfiles looks at what the kernel told it, all day long: this is what waiting costs.

A change is told at the second look after it, so within twice this.
"""

LOOK_ANYWAY_MS: Final = 5_000
"""How often the files are looked at without any event: network file systems tell of none."""


class Mark(NamedTuple):
    """What is compared of a file; all zero when it cannot be looked at."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


Fingerprint = frozenset[tuple[PurePath, Mark]]
"""What files look like from outside."""

_NOTHING: Final = Mark(0, 0, 0, 0, 0)


def fingerprint(watched: Watched) -> Fingerprint:
    """What the watched files look like now, symlinks followed."""
    return frozenset((path, _mark(Path(path))) for path in _files(watched))


def directories(watched: Watched) -> frozenset[Path]:
    """The directories to watch: of each path as written, and of what it leads to.

    Of a directory that does not exist the nearest one above it that does.
    """
    named = [Path(path) for path in (*_files(watched), *watched.globs)]
    parents = [path.absolute().parent for path in named]
    parents += [path.resolve().parent for path in named]
    parents += [Path(parent).resolve() for parent in parents]
    return frozenset(_existing(parent) for parent in parents)


async def changes(
    watched: Callable[[], Watched],
    *,
    debounce_ms: int = DEBOUNCE_MS,
    step_ms: int = STEP_MS,
    look_anyway_ms: int = LOOK_ANYWAY_MS,
) -> AsyncIterator[None]:
    """Yields each time the watched files are other than before.

    `watched` is asked again after each time, since another config may have other files. Half a
    file is a change like any other: it is for the reader to refuse it and keep what it has.
    """
    before = fingerprint(watched())
    while True:
        at = directories(watched())
        async for _ in awatch(
            *at,
            watch_filter=None,
            debounce=debounce_ms,
            step=step_ms,
            rust_timeout=look_anyway_ms,
            yield_on_timeout=True,
            recursive=False,
        ):
            now = fingerprint(watched())
            if now != before:
                before = now
                yield
                before = _kept(before, fingerprint(watched()))
            if directories(watched()) != at:
                break


def _kept(seen: Fingerprint, now: Fingerprint) -> Fingerprint:
    """What was seen, for the files there were, and what there is for files that are new."""
    known = {path for path, _ in seen}
    current = {path for path, _ in now}
    new = {(path, mark) for path, mark in now if path not in known}
    return frozenset(new | {(path, mark) for path, mark in seen if path in current})


def _files(watched: Watched) -> Iterable[PurePath]:
    disk = DiskFiles()
    found = {path for pattern in watched.globs for path in disk.glob(pattern)}
    return watched.files | found


def _mark(path: Path) -> Mark:
    try:
        stat = path.stat()
        with path.open("rb"):
            pass
    except OSError:
        return _NOTHING
    return Mark(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _existing(path: Path) -> Path:
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path
