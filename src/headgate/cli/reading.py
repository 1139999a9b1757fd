"""Reads the config of a command, for as long as its file system may take to answer."""

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Final

from headgate.cli.unanswered import UnansweredError
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.providers.file.disk import DiskFiles
from headgate.providers.file.patience import LOAD_S, READ_S, silence, slowness

_LOOK_S: Final = 0.25


def read(
    paths: Sequence[PurePath],
    env: Mapping[str, str],
    files: DiskFiles | None = None,
    read_s: float = READ_S,
    load_s: float = LOAD_S,
) -> Loaded:
    """Returns what the documents at `paths` say.
    Raises `UnansweredError`, and what reading raises.

    A thread that a file system does not let go of cannot be stopped; it ends with the process.
    """
    mine = files or DiskFiles()
    reading = _Reading(paths, mine, env)
    reading.start()
    started = time.monotonic()
    while True:
        reading.join(min(_LOOK_S, read_s / 4))
        if not reading.is_alive():
            return reading.result()
        now, at = time.monotonic(), mine.reading
        if at is not None and now - at.since >= read_s:
            raise UnansweredError(silence(at, now))
        if now - started >= load_s:
            raise UnansweredError(slowness(load_s))


class _Reading(threading.Thread):
    def __init__(self, paths: Sequence[PurePath], files: DiskFiles, env: Mapping[str, str]) -> None:
        super().__init__(name="read", daemon=True)
        self._asked = (paths, files, env)
        self._loaded: Loaded | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._loaded = load(*self._asked)
        except BaseException as error:
            self._error = error

    def result(self) -> Loaded:
        """Returns what was read, or the error that reading raised."""
        if self._loaded is None:
            raise self._error or RuntimeError("nothing was read")
        return self._loaded
