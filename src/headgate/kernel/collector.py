"""Has the cyclic collector look less often, or not at all, while code makes many objects that
form no cycles."""

import atexit
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_NEW_OBJECTS: Final = 10_000


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


def relax() -> None:
    """Has the collector look after every 10,000 new objects of this process in place of 700, and
    not at all when the process ends.

    Modules and schemas are made once and stay. Looking at them again and again while a process
    starts was a fifth of a master's CPU time until it served, and at its end another third. See
    gc.set_threshold and gc.freeze.
    """
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
    # The memory goes with the process. What cycles hold is closed by its owner, never by chance.
    atexit.register(gc.freeze)
