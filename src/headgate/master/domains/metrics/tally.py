"""Tallies of what nodes served during a time, as numbers that can be added up and divided. Pure."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

_NAMES: Final = (
    "covered_ms",
    "connection_ms",
    "requests",
    "client_errors",
    "server_errors",
    "endpoint_failures",
    "drift_ms",
)


MOST: Final = (1 << 63) - 1
"""The largest sum, as large as a column holds: an agent may say that it served anything."""


class Tally(NamedTuple):
    """The figures of what was served. None: no node said it."""

    covered_ms: int = 0
    """The time of which nodes told, all together; two nodes that tell of 15 s cover 30 s."""
    connection_ms: int = 0
    """The time for which clients were connected, all together: the mean is this by the time."""
    requests: int = 0
    client_errors: int | None = None
    """Answers with 4xx."""
    server_errors: int = 0
    """Answers with 5xx."""
    endpoint_failures: int | None = None
    """Tries that failed at an endpoint."""
    latency: tuple[int, ...] = ()
    """Answers by `headgate.fleet.latency.BOUNDS_S`; empty: no node said it."""
    drift_ms: int | None = None
    """The time for which the nginx of nodes drifted, all together."""


def added(tallies: Iterable[Tally]) -> Tally:
    """Returns the sum, each number of it at most `MOST`.

    >>> added([Tally(requests=2, client_errors=1), Tally(requests=3, latency=(4,))])[2:4]
    (5, 1)
    """
    every = list(tallies)
    values = {name: _sum([getattr(one, name) for one in every]) for name in _NAMES}
    buckets = itertools.zip_longest(*(one.latency for one in every), fillvalue=0)
    whole = {name: values[name] or 0 for name in Tally._fields[:3]}
    return Tally(
        **whole,
        client_errors=values["client_errors"],
        server_errors=values["server_errors"] or 0,
        endpoint_failures=values["endpoint_failures"],
        latency=tuple(min(sum(counts), MOST) for counts in buckets),
        drift_ms=values["drift_ms"],
    )


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return min(sum(known), MOST) if known else None


def divided(whole: Tally, weights: Sequence[int]) -> list[Tally]:
    """Returns parts in these proportions (not all of them 0), whose sum is the whole.

    >>> [part.requests for part in divided(Tally(requests=10), [1, 1, 1])]
    [3, 3, 4]
    """
    ends = list(itertools.accumulate(weights))

    def parts(value: int) -> list[int]:
        reached = [value * end // ends[-1] for end in ends]
        return [after - before for before, after in itertools.pairwise((0, *reached))]

    columns = {name: parts(value) for name in _NAMES if (value := getattr(whole, name)) is not None}
    buckets = [parts(count) for count in whole.latency]
    return [
        Tally(
            **{name: column[index] for name, column in columns.items()},
            latency=tuple(bucket[index] for bucket in buckets),
        )
        for index in range(len(weights))
    ]
