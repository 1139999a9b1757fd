"""Counts the lines that functions run: a measure of work that no other process changes."""

import sys
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import TraceFunction


def lines_of(act: Callable[[], object]) -> Counter[CodeType]:
    """How many lines each function runs, in this thread."""
    found: Counter[CodeType] = Counter()

    def traced(frame: FrameType, event: str, _given: object) -> "TraceFunction":
        if event == "line":
            found[frame.f_code] += 1
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        act()
    finally:
        sys.settrace(before)
    return found


def faster_than(made: Callable[[int], Callable[[], object]], small: int = 16) -> list[str]:
    """The functions whose lines grow faster than the number of things: `made` gets the number, and
    returns what is to be counted. A function that looks at each thing for each is among them.
    `small` is the first number.
    """
    made(1)()  # what is done once in a process
    one, two, four = (lines_of(made(small * times)) for times in (1, 2, 4))
    bends = {code: four[code] - two[code] - 2 * (two[code] - one[code]) for code in four}
    # One line for each of n things, n times, is a bend of 6 n².
    return sorted(
        f"{code.co_filename.rpartition('headgate/')[2]}: {code.co_qualname}"
        for code, bend in bends.items()
        if bend > 2 * small * small
    )
