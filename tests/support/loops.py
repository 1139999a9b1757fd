"""Runs coroutines on a loop that stays open from one test to the next.

gRPC has one queue of events for all loops of a process. Whoever takes an event that belongs to a
closed loop gets an exception, and the events after it wait: another test's connection hangs.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_OF_THREAD = threading.local()


class _Closing:
    """Closes the loop of a thread that ends, before the garbage collector warns in another test."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __del__(self) -> None:
        self._loop.close()


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`: what `main` left running is cancelled before this returns."""
    loop: asyncio.AbstractEventLoop | None = getattr(_OF_THREAD, "loop", None)
    if loop is None:
        loop = _OF_THREAD.loop = asyncio.new_event_loop()
        if threading.current_thread() is not threading.main_thread():
            _OF_THREAD.closing = _Closing(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(_end(loop))


async def _end(loop: asyncio.AbstractEventLoop) -> None:
    left = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await loop.shutdown_asyncgens()
