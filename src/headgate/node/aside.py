"""Runs what may take long, or hang, in a thread that nobody waits for at the end."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def aside(work: Callable[[], T], name: str) -> "asyncio.Future[T]":
    """Begins `work` in a thread of this name; the future has what it returned or raised.

    It is not a thread of the loop's own pool, since the loop waits for those at its end.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[T] = loop.create_future()

    def settle(tell: Callable[[], None]) -> None:
        if not found.cancelled():
            tell()

    def run() -> None:
        tell: Callable[[], None]
        try:
            result = work()
        except Exception as wrong:
            error: Exception = wrong
            tell = lambda: found.set_exception(error)  # noqa: E731
        except BaseException as wrong:  # a panic of the core must not end us
            broken = RuntimeError(f"{type(wrong).__name__}: {wrong}")
            tell = lambda: found.set_exception(broken)  # noqa: E731
        else:
            tell = lambda: found.set_result(result)  # noqa: E731
        try:
            loop.call_soon_threadsafe(settle, tell)
        except RuntimeError:
            return  # the loop has ended, and no caller waits

    threading.Thread(target=run, name=name, daemon=True).start()
    return found
