"""Latencies of nodes in the same buckets."""

import re
from pathlib import Path

from headgate.engines.nginx.observe.histogram import BOUNDS_S as NGINX
from headgate.fleet.frames import Latency
from headgate.fleet.latency import BOUNDS_S, BUCKETS, in_buckets, quantile_s

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "engine/crates/hg-dataplane/src/openmetrics/golden.txt"


def test_the_bounds_are_those_of_both_engines() -> None:
    page = GOLDEN.read_text()
    native = re.findall(r'http_request_duration_seconds_bucket{le="([0-9.]+)"}', page)
    assert tuple(map(float, native)) == BOUNDS_S == NGINX


def test_buckets_of_an_engine_stay_as_they_are() -> None:
    counts = tuple(range(BUCKETS))
    assert in_buckets(Latency(BOUNDS_S, counts)) == counts


def test_foreign_buckets_count_as_their_upper_bound() -> None:
    found = in_buckets(Latency((0.00015, 0.004, 90.0), (1, 2, 4, 8)))
    assert {index: count for index, count in enumerate(found) if count} == {
        1: 1,
        BOUNDS_S.index(0.005): 2,
        BUCKETS - 1: 12,
    }


def test_a_quantile_is_an_upper_bound() -> None:
    counts = in_buckets(Latency((0.01, 0.1), (98, 2, 0)))
    assert (quantile_s(counts, 0.5), quantile_s(counts, 0.99)) == (0.01, 0.1)
    assert quantile_s((0,) * BUCKETS, 0.99) is None
    assert quantile_s((*(0,) * (BUCKETS - 1), 1), 0.5) == 60.0
