"""A pipe that takes nothing more, as of a log driver that stands still."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def unread_pipe() -> Iterator[int]:
    """The end to write to; whoever does waits as long as the block lasts."""
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 4096)
        os.set_blocking(writer, True)
        yield writer
    finally:
        os.close(reader)
        os.close(writer)
