"""Durations in buckets, and their text."""

from headgate.kernel.durations import Durations
from headgate.kernel.openmetrics import histogram


def test_a_duration_belongs_to_the_first_bound_that_it_does_not_pass() -> None:
    found = Durations((0.1, 1.0))
    for seconds in (-5.0, 0.1, 0.11, 1.0, 7.0):
        found.record(seconds)
    bounds, counts, total = found.buckets()
    assert (tuple(bounds), counts, round(total, 2)) == ((0.1, 1.0), (2, 2, 1), 8.21)


def test_buckets_are_cumulative_on_a_page() -> None:
    found = Durations((0.1, 1.0))
    found.record(0.5)
    found.record(2.0)
    assert histogram("x_seconds", "About.", [({"a": "b"}, found.buckets())], "seconds") == (
        "# TYPE x_seconds histogram\n"
        "# UNIT x_seconds seconds\n"
        "# HELP x_seconds About.\n"
        'x_seconds_bucket{a="b",le="0.1"} 0\n'
        'x_seconds_bucket{a="b",le="1.0"} 1\n'
        'x_seconds_bucket{a="b",le="+Inf"} 2\n'
        'x_seconds_count{a="b"} 2\n'
        'x_seconds_sum{a="b"} 2.5\n'
    )
