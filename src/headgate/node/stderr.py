"""Standard error that never makes its writer wait.

A pipe or socket whose reader stands still (a log driver, a stopped journal) takes some KiB, and
then a write waits until somebody reads. A process that serves must not wait for that.
"""

import atexit
import contextlib
import io
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

_MOST_BYTES: Final = 1024 * 1024
"""Lines that wait; more of them are lost."""
_LONGEST: Final = 64 * 1024
"""A line that is longer in characters is not waited for."""
_LAST_S: Final = 1.0
"""The time that the last lines have at the end of the process."""


def queue() -> None:
    """Has a thread write what this process says on standard error from now on.

    A stream that somebody put in its place, as tests do, stays; so does a closed one.
    """
    if sys.stderr is None or sys.stderr is not sys.__stderr__:
        return
    stream = QueuedStderr(lambda data: os.write(2, data), is_terminal=os.isatty(2))
    atexit.register(stream.drain)
    sys.stderr = stream


class QueuedStderr(io.TextIOBase):
    """Hands whole lines to a thread, and counts those that find its queue full."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, write: Callable[[bytes], int], *, is_terminal: bool = False) -> None:
        """`write` takes bytes, returns the number it took, and may wait as long as it likes."""
        super().__init__()
        self._write = write
        self._is_terminal = is_terminal
        self._begun = ""
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._lost = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="stderr", daemon=True).start()

    def isatty(self) -> bool:
        """Returns whether people read it on a terminal."""
        return self._is_terminal

    def fileno(self) -> int:
        """Returns the descriptor, for child processes."""
        return 2

    def writable(self) -> bool:
        """Returns True."""
        return True

    def write(self, text: str) -> int:
        """Queues the lines that a text ends, and returns its length. Never waits."""
        length = len(text)
        with self._changed:
            text = self._begun + text
            ends = len(text) if len(text) > _LONGEST else text.rfind("\n") + 1
            whole, self._begun = text[:ends], text[ends:]
            if whole:
                self._queue(whole.encode(self.encoding, self.errors))
        return length

    def drain(self, within_s: float = _LAST_S) -> bool:
        """Waits for the end of the queue, at most `within_s` seconds; returns whether it came."""
        with self._changed:
            if self._begun:
                self._queue(self._begun.encode(self.encoding, self.errors))
                self._begun = ""
            return self._changed.wait_for(lambda: not self._bytes, within_s)

    def _queue(self, lines: bytes) -> None:
        if self._bytes and self._bytes + len(lines) > _MOST_BYTES:
            self._lost += lines.count(b"\n")
            return
        self._lines.append(lines)
        self._bytes += len(lines)
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                lines = self._lines.popleft()
                lost, self._lost = self._lost, 0
            with contextlib.suppress(OSError):  # nobody reads it any more
                self._out(lines)
                if lost:
                    self._out(b"headgate: %d lines of the log are lost: nobody read it\n" % lost)
            with self._changed:
                self._bytes -= len(lines)
                self._changed.notify_all()

    def _out(self, data: bytes) -> None:
        while data:
            data = data[self._write(data) :]
