"""The status of key sets that are fetched, for people and for metrics."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from headgate.kernel.openmetrics import family

State = Literal["fresh", "stale", "missing"]


class KeySetStatus(msgspec.Struct, frozen=True):
    """A key set that is fetched, by its URL; `fetched_at` is in Unix seconds.

    `fresh`: the last fetch succeeded, and what it brought is served; `stale`: it is not so, and an
    earlier set counts; `missing`: there is none, or it was too old, and requests get 503. `error`
    says why the last fetch failed, or that its set is not served yet.
    """

    url: str
    state: State
    fetched_at: float | None = None
    error: str = ""


class Counted(NamedTuple):
    """A set, and its fetches by how they ended."""

    status: KeySetStatus
    results: Counter[str]


def families(sets: Sequence[Counted], now: float) -> list[str]:
    """Returns the metric families about them; none without a set. `now`: Unix seconds."""
    if not sets:
        return []
    there = [({"key_set": s.url}, int(s.state != "missing")) for s, _ in sets]
    ages = [
        ({"key_set": s.url}, round(max(now - s.fetched_at, 0), 3))
        for s, _ in sets
        if s.fetched_at is not None
    ]
    ended = [
        ({"key_set": status.url, "result": result}, results[result])
        for status, results in sets
        for result in sorted(results)
    ]
    return [
        family(
            "headgate_key_set_present",
            "gauge",
            "1 while there is a set of keys from this URL, 0 while its routes answer 503.",
            there,
        ),
        family(
            "headgate_key_set_age_seconds",
            "gauge",
            "Time since the set of keys was last fetched.",
            ages,
            unit="seconds",
        ),
        family(
            "headgate_key_set_fetches",
            "counter",
            "Fetches of a set of keys, by how they ended: `ok`, or why there is none.",
            ended,
        ),
    ]
