"""Waiting on a condition with a deadline, for tests of real processes."""

import asyncio
import time
from collections.abc import Callable

#: Twenty seconds were too few once, on a machine starved by builds; a test may take 120 s in all.
DEADLINE_S = 45.0

#: Asking every hundredth of a second takes more of the machine than what is waited for.
_LONGEST_S = 0.05


def until(
    condition: Callable[[], bool], what: str = "the condition", *, deadline_s: float = DEADLINE_S
) -> None:
    """Returns once `condition()` holds; fails when that takes too long."""
    end = time.monotonic() + deadline_s
    pause_s = 0.01
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true in {deadline_s:g} s"
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.1, _LONGEST_S)


async def until_async(condition: Callable[[], bool], what: str = "the condition") -> None:
    """The same within a loop."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true in {DEADLINE_S:g} s"
        await asyncio.sleep(0.005)
