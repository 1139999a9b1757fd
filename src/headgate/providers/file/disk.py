"""Implements `Files` on the disk: regular files only, in bounded memory,
with a note of what it read.
"""

# ruff: noqa: PTH110, PTH112, PTH116, PTH208 - os.path says no where pathlib raises
import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Final, NamedTuple

MOST_BYTES: Final = 64 << 20
"""A larger file is not a config; `/proc/kcore` and similar files have no end."""

_PIECE: Final = 1 << 20
_WILD: Final = "*?["
# A pipe would block us, a terminal become ours.
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_KINDS: Final = (
    (stat.S_ISDIR, "it is a directory"),
    (stat.S_ISFIFO, "it is a named pipe"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
)


class Mark(NamedTuple):
    """The properties of a file for comparison; all zero if it cannot be examined."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


NOTHING: Final = Mark(0, 0, 0, 0, 0)


class Reading(NamedTuple):
    """A file that is being read, and since when (monotonic seconds)."""

    path: str
    since: float


class DiskFiles:
    """Files of this machine; relative paths are relative to the working directory."""

    def __init__(self) -> None:
        self.marks: dict[PurePath, Mark] = {}
        """The state of each file when it was first read."""
        self.found: set[PurePath] = set()
        """The paths that patterns matched."""
        self.reading: Reading | None = None
        """The path that is being read; another thread may ask for it."""

    def read(self, path: PurePath) -> bytes:
        """Returns the whole content; raises `OSError`, also for a file
        that is not regular or too large.
        """
        with self._at(path), _named(path):
            self.marks.setdefault(path, mark(path))
            with _opened(path) as (descriptor, _):
                return _content(descriptor)

    def lines(self, path: PurePath) -> Iterator[bytes]:
        """Yields the lines of a file of any length without their ends, as far as it reaches now.

        Raises `OSError`, also for a file that is not regular, and for a line that is too long.
        """
        with self._at(path), _named(path), _opened(path) as (descriptor, size):
            left, rest = size, b""
            while piece := os.read(descriptor, min(_PIECE, left)):
                left -= len(piece)
                *whole, rest = (rest + piece).split(b"\n")
                yield from whole
                if len(rest) > _PIECE:
                    raise OSError(errno.EFBIG, f"it has a line of more than {_PIECE} bytes")
                self.reading = Reading(str(path), time.monotonic())
            if rest:
                yield rest

    def glob(self, pattern: PurePath) -> Sequence[PurePath]:
        """Returns existing files that match, sorted; wildcards count in the last part only.

        Hidden files (editors' locks and copies among them) match only a pattern that begins with
        a dot. Raises `OSError` for a directory that cannot be listed.
        """
        with self._at(pattern), _named(pattern):
            if not any(character in pattern.name for character in _WILD):
                return [pattern] if os.path.exists(pattern) and not os.path.isdir(pattern) else []
            if not os.path.isdir(pattern.parent):
                return []
            names = sorted(os.listdir(pattern.parent))
            paths = (pattern.parent / name for name in names if _matches(name, pattern.name))
            found = [path for path in paths if not os.path.isdir(path)]
            self.found.update(found)
            return found

    def is_public(self, path: PurePath) -> bool:
        """Reports whether its mode lets every user read it."""
        with self._at(path), _named(path):
            return bool(os.stat(path).st_mode & stat.S_IROTH)

    def is_directory(self, path: PurePath) -> bool:
        """Reports whether it is a directory; False when that cannot be known."""
        with self._at(path):
            return os.path.isdir(path)

    @contextlib.contextmanager
    def _at(self, path: PurePath) -> Iterator[None]:
        self.reading = Reading(str(path), time.monotonic())
        try:
            yield
        finally:
            self.reading = None


def mark(path: PurePath) -> Mark:
    """Returns what a file looks like now, symlinks followed; never waits for a pipe or a device."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            return NOTHING
        if stat.S_ISREG(status.st_mode):
            os.close(os.open(path, _FLAGS))  # whether we may read it counts
    except (OSError, ValueError):
        return NOTHING
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return Mark(status.st_dev, status.st_ino, status.st_size, *times)


def _matches(name: str, pattern: str) -> bool:
    is_hidden = name.startswith(".") and not pattern.startswith(".")
    return not is_hidden and fnmatchcase(name, pattern)


def _refuse_special(mode: int) -> None:
    for is_kind, why in _KINDS:
        if is_kind(mode):
            raise OSError(errno.EINVAL, why)


@contextlib.contextmanager
def _opened(path: PurePath) -> Iterator[tuple[int, int]]:
    """Opens a regular file; gives the descriptor and the size."""
    _refuse_special(os.stat(path).st_mode)
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        _refuse_special(status.st_mode)  # it may be another one now
        yield descriptor, status.st_size
    finally:
        os.close(descriptor)


def _content(descriptor: int) -> bytes:
    pieces: list[bytes] = []
    length = 0
    while piece := os.read(descriptor, _PIECE):
        pieces.append(piece)
        length += len(piece)
        if length > MOST_BYTES:
            raise OSError(errno.EFBIG, f"it has more than {MOST_BYTES} bytes")
    return b"".join(pieces)


@contextlib.contextmanager
def _named(path: PurePath) -> Iterator[None]:
    """Turns an impossible file name into an `OSError`, as for any other missing file."""
    try:
        yield
    except ValueError as error:
        raise OSError(errno.EINVAL, "no file can have this name", str(path)) from error
