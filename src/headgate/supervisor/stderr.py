"""Lines on standard error, without waiting for a reader who stands still."""

from __future__ import annotations

import os
import select

_ready = select.poll()


def say(line: str) -> None:
    """Writes a line, or the beginning of one that is longer than 4,095 bytes; a closed or full
    standard error takes none."""
    try:
        # A pipe that polls as writable takes PIPE_BUF bytes at once (pipe(7)).
        _ready.register(2, select.POLLOUT)
        if _ready.poll(0):
            os.write(2, line.encode()[: select.PIPE_BUF - 1] + b"\n")
    except OSError:
        pass  # nobody reads
