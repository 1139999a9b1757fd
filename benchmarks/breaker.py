"""The cost of the library's closed breaker in a Python program; run by headgate's own Python.

    python breaker.py

Prints JSON: nanoseconds for each call, the loop included, as the median of rounds. `check_ns` is
`acquire` of the object in the core that a `CircuitBreaker` has, with the time given: whether one
more try is let through, and its permit. `result_ns` is that and `report` of a success. `guard_ns`
is a `with breaker.guard():` of the public class around nothing, which also reads the clock twice.
`call_ns` is a method of Python's own that does nothing with one argument: no check can cost less.
"""

import json
import statistics
import sys
import timeit
from itertools import repeat

from headgate._core import Breaker
from headgate.library.breaker import CircuitBreaker

_CALLS = 100_000
_ROUNDS = 9


def main() -> None:
    """Measures."""
    public = CircuitBreaker()
    core = Breaker(public)

    def check() -> None:
        acquire = core.acquire
        for now in repeat(1, _CALLS):
            acquire(now)

    def result() -> None:
        acquire, report = core.acquire, core.report
        for now in repeat(1, _CALLS):
            permit = acquire(now)
            if permit is not None:
                report(permit, True, now)

    def guard() -> None:
        for _ in repeat(None, _CALLS):
            with public.guard():
                pass

    def call() -> None:
        nothing = ().count
        for now in repeat(1, _CALLS):
            nothing(now)

    found = {}
    plays = {"check_ns": check, "result_ns": result, "guard_ns": guard, "call_ns": call}
    for name, play in plays.items():
        rounds = timeit.repeat(play, number=1, repeat=_ROUNDS)
        found[name] = statistics.median(rounds) / _CALLS * 1e9
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
