"""Reads the files of a command, for as long as their file system may take to answer."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import PurePath
from typing import Final, Generic, TypeVar

from headgate.cli.unanswered import UnansweredError
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.compile.sources import Given
from headgate.providers.file.disk import DiskFiles
from headgate.providers.file.patience import LOAD_S, READ_S, silence, slowness

_LOOK_S: Final = 0.25

T = TypeVar("T")


def read(
    paths: Sequence[PurePath | Given],
    env: Mapping[str, str],
    files: DiskFiles | None = None,
    read_s: float = READ_S,
    load_s: float = LOAD_S,
) -> Loaded:
    """Returns what the documents at `paths` say.
    Raises `UnansweredError`, and what reading raises.
    """
    mine = files or DiskFiles()
    return answered(mine, partial(load, paths, mine, env), read_s, load_s)


def answered(
    files: DiskFiles, act: Callable[[], T], read_s: float = READ_S, load_s: float = LOAD_S
) -> T:
    """Returns what `act` returns, which reads from `files`.

    Raises what it raises, and `UnansweredError` if a file does not answer within `read_s`, or `act`
    takes longer than `load_s`.

    A thread that a file system does not let go of cannot be stopped; it ends with the process.
    """
    reading = _Reading(act)
    reading.start()
    started = time.monotonic()
    while True:
        reading.join(_LOOK_S)
        if not reading.is_alive():
            return reading.result()
        now, at = time.monotonic(), files.reading
        if at is not None and now - at.since >= read_s:
            raise UnansweredError(silence(at, now))
        if now - started >= load_s:
            raise UnansweredError(slowness(load_s))


class _Reading(threading.Thread, Generic[T]):
    def __init__(self, act: Callable[[], T]) -> None:
        super().__init__(name="read", daemon=True)
        self._act = act
        self._found: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._found.append(self._act())
        except BaseException as error:
            self._error = error

    def result(self) -> T:
        """Returns what was read, or raises the error that reading raised."""
        if self._error is not None:
            raise self._error
        return self._found[0]
