"""Defines metric families as data; `node.exposition` makes text of them. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from headgate.engines.nginx.observe.histogram import Histogram

Labels = Mapping[str, str]


class Sample(NamedTuple):
    """A line; `suffix` follows the family's name."""

    suffix: str
    labels: Labels
    value: float


class Family(NamedTuple):
    """A family with its samples; the name of a counter is without `_total`."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    about: str
    samples: tuple[Sample, ...]
    unit: str = ""


def counter(name: str, about: str, samples: Iterable[tuple[Labels, float]]) -> Family:
    """Returns a family that only grows."""
    found = tuple(Sample("_total", labels, value) for labels, value in samples)
    return Family(name, "counter", about, found, _unit(name))


def gauge(name: str, about: str, samples: Iterable[tuple[Labels, float]]) -> Family:
    """Returns a family that goes up and down."""
    found = tuple(Sample("", labels, value) for labels, value in samples)
    return Family(name, "gauge", about, found, _unit(name))


def histogram(name: str, about: str, samples: Iterable[tuple[Labels, Histogram]]) -> Family:
    """Returns a family of latencies in seconds."""
    found = tuple(line for labels, one in samples for line in _buckets(labels, one))
    return Family(name, "histogram", about, found, _unit(name))


def _buckets(labels: Labels, one: Histogram) -> Iterator[Sample]:
    total = 0
    bounds = (*(repr(bound) for bound in one.bounds_s), "+Inf")
    for bound, count in zip(bounds, one.counts, strict=True):
        total += count
        yield Sample("_bucket", {**labels, "le": bound}, total)
    yield Sample("_count", labels, total)
    yield Sample("_sum", labels, round(one.sum_s, 6))


def _unit(name: str) -> str:
    return next((unit for unit in ("seconds", "bytes", "days") if name.endswith(f"_{unit}")), "")
