"""Waiting on a condition with a deadline, for tests of real processes."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Final

#: Twenty seconds were too few once, on a machine starved by builds; a test may take 300 s in all.
DEADLINE_S = 45.0

#: The pause before the next question: as long as the last one took, and a part of the time waited,
#: within limits. A question to a master takes 20 ms of the machine, a command half a second, which
#: what is waited for would like to have.
_PART: Final = 0.05
_SHORTEST_S: Final = 0.01
_LONGEST_S: Final = 0.2

#: How many processes share a core in the suite itself; a machine with more falls behind.
_USUAL_LOAD: Final = 3.0

#: With ten processes for each core, a node took more than 90 s to start.
_LONGEST_STRETCH: Final = 4.0


def stretch(load: float | None = None) -> float:
    """How many times longer a deadline is now, 1 to 4: as a core is loaded beyond the suite's own.

    `load`: processes that want a core, for each core; by default the mean of the last minute.
    """
    if load is None:
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return min(max(load / _USUAL_LOAD, 1.0), _LONGEST_STRETCH)


class Deadline:
    """A time until which something must have come true; later while others use the machine."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun = time.monotonic()

    def has_passed(self) -> bool:
        """Whether it is too late, by the load at this moment."""
        return self.waited_s() >= self._seconds * stretch()

    def waited_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._begun


def until(
    condition: Callable[[], bool], what: str = "the condition", *, deadline_s: float = DEADLINE_S
) -> None:
    """Returns once `condition()` holds; fails when that takes too long."""
    deadline = Deadline(deadline_s)
    asked = time.monotonic()
    while not condition():
        assert not deadline.has_passed(), f"{what} did not come true in {deadline.waited_s():.0f} s"
        took = time.monotonic() - asked
        time.sleep(min(max(_SHORTEST_S, took, _PART * deadline.waited_s()), _LONGEST_S))
        asked = time.monotonic()


async def until_async(condition: Callable[[], bool], what: str = "the condition") -> None:
    """The same within a loop."""
    deadline = Deadline(DEADLINE_S)
    while not condition():
        assert not deadline.has_passed(), f"{what} did not come true in {deadline.waited_s():.0f} s"
        await asyncio.sleep(0.005)
