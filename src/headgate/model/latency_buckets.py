"""`node.latency_buckets`: the bounds of the latency histograms."""

from itertools import pairwise
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

from headgate.features.fields import parsed
from headgate.kernel.errors import Invalid
from headgate.kernel.units import FINE_ALLOWED, FineDuration
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM
from headgate.plan.settings import LATENCY_BOUNDS_US

LEAST: Final = FineDuration(100)
MOST: Final = FineDuration(600_000_000)
MOST_BUCKETS: Final = 32
"""The room that histograms of the native engine have; hg-engine's `MOST_BOUNDS`."""
DEFAULT: Final = tuple(FineDuration(us) for us in LATENCY_BOUNDS_US)


def _within(bound: FineDuration) -> FineDuration:
    if not LEAST <= bound <= MOST:
        raise Invalid(f'"{bound}" is out of range', f'write "{LEAST}" to "{MOST}"')
    return bound


def _ascending(bounds: list[FineDuration]) -> list[FineDuration]:
    for index, (before, bound) in enumerate(pairwise(bounds), start=1):
        if bound == before:
            raise Invalid(f'"{bound}" is listed twice', "remove one of them", at=(index,))
        if bound < before:
            raise Invalid(
                f'"{bound}" is shorter than "{before}" before it',
                "write the bounds in ascending order",
                at=(index,),
            )
    return bounds


LatencyBound = Annotated[
    FineDuration,
    parsed(FineDuration.parse, "a duration", FINE_ALLOWED),
    AfterValidator(_within),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9]+(\.[0-9]+)? ?(us|ms|s|m)$",
            "format": "fine-duration",
        }
    ),
]
LatencyBuckets = Annotated[
    list[LatencyBound],
    Field(min_length=1, max_length=MOST_BUCKETS),
    AfterValidator(_ascending),
    ONE_OR_MORE,
    OR_ITEM,
]
