"""In which order the processes of pytest run tests: each begins with its share of the longest."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Test = TypeVar("Test")


def dealt(tests: Sequence[Test], seconds: Callable[[Test], float], processes: int) -> list[Test]:
    """All tests in the order in which `processes` processes share them best.

    `--dist worksteal` gives each process as many tests, one beside the other in this order; one
    that has none left takes half of what another still has, from its end. A long test that begins
    late is thus one that all other processes wait for. `seconds` says how long a test may take, 0
    where it is one of the many short ones. The long ones are dealt from the longest to the
    shortest, and each process begins with its own. All others keep their order.
    """
    longest = sorted((test for test in tests if seconds(test)), key=lambda test: -seconds(test))
    others = [test for test in tests if not seconds(test)]
    order: list[Test] = []
    for process in range(processes):
        first = longest[process::processes]
        share = (len(tests) - len(order)) // (processes - process)
        rest = max(0, share - len(first))
        order += first + others[:rest]
        del others[:rest]
    return order
