"""Pauses the cyclic collector while code makes many objects that form no cycles."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Pauses:
    """The pauses of all threads: the first turns the collector off, the last on again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._was_enabled = False

    def begin(self) -> None:
        with self._lock:
            if self._count == 0:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._count += 1

    def end(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0 and self._was_enabled:
                gc.enable()


_pauses = _Pauses()


@contextmanager
def paused() -> Iterator[None]:
    """Pauses collections, until pauses of other threads have ended too;
    then restores the state before.

    Making a hundred thousand objects would make the collector look at all of them some ten times;
    they are freed by their reference counts. Use it for work, not for waiting: other code may make
    cycles meanwhile.
    """
    _pauses.begin()
    try:
        yield
    finally:
        _pauses.end()
