"""`mirror` of a route: the upstreams that get some requests once more.

The share, the bounded body and that its answers are read and thrown away are those of Traefik's
mirroring service (`percent`, `maxBodySize`); that the copy is marked is Envoy's
`request_mirror_policies`, which marks its host. Neither bounds copies under way.
"""

from decimal import Decimal
from typing import Annotated, Final

from pydantic import AfterValidator, Field, PlainValidator, Strict, WithJsonSchema

from headgate.features.base import Options
from headgate.features.fields import FROM_ENV, DurationText, SizeText, number
from headgate.features.syntax import described
from headgate.kernel.errors import Invalid
from headgate.kernel.units import ByteSize, Duration
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM

_ALL: Final = 100
_STEPS: Final = 100
"""The steps of one percent."""
_LONGEST: Final = Duration(300_000)
_LARGEST: Final = ByteSize(1 << 20)
_MOST: Final = 4
"""The most mirrors of one route: each costs the worker another request."""


def _percent(value: object) -> float:
    percent = number(value)
    if isinstance(percent, int | float) and not isinstance(percent, bool) and 0 <= percent <= _ALL:
        steps = Decimal(str(percent)) * _STEPS
        if steps == int(steps):
            return percent
    raise Invalid(
        f"{described(value)} is not a share of the requests",
        "write a percentage from 0 to 100, in steps of 0.01",
    )


def _within(timeout: Duration) -> Duration:
    if timeout > _LONGEST:
        raise Invalid(f'"{timeout}" is longer than a copy may take', f'write at most "{_LONGEST}"')
    return timeout


def _held(size: ByteSize) -> ByteSize:
    if size > _LARGEST:
        raise Invalid(f'"{size}" is more than is kept of a copy', 'write at most "1MiB"')
    return size


MirroredPercent = Annotated[
    float,
    PlainValidator(_percent),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": _ALL}),
]


class Mirror(Options):
    """The upstream that some requests of a route are sent to once more.

    The answers to the copies are dropped. A copy begins once its request is out, holds up neither
    it nor another copy, and its result is only counted.
    """

    upstream: str = Field(
        description="The upstream that gets the copies; it must not be one that answers requests "
        "of the route."
    )
    percent: MirroredPercent = Field(
        default=_ALL,
        description="The percentage of requests that are mirrored, in steps of 0.01; 0 = none. In "
        "each block of requests exactly this share is mirrored, at random positions.",
    )
    max_body: Annotated[SizeText, AfterValidator(_held)] = Field(
        default=ByteSize(64 << 10),
        description="The largest body of a request that is mirrored, at most 1 MiB. A request with "
        "a larger body is not mirrored at all.",
    )
    timeout: Annotated[DurationText, AfterValidator(_within)] = Field(
        default=Duration(10_000),
        description="How long a copy may take, up to the last byte of its response, at most 5 "
        "minutes.",
    )
    max_in_flight: Annotated[int, Strict(), Field(ge=1, le=10_000), FROM_ENV] = Field(
        default=64,
        description="The most requests that may be mirrored at once, on all workers, each counted "
        "from its head to the end of the copy; beyond it no request is mirrored.",
    )

    @property
    def share(self) -> int:
        """The number of mirrored requests in ten thousand."""
        return round(self.percent * _STEPS)


def _distinct(mirrors: list[Mirror]) -> list[Mirror]:
    for at, mirror in enumerate(mirrors):
        if any(mirror.upstream == other.upstream for other in mirrors[:at]):
            raise Invalid(
                f'upstream "{mirror.upstream}" gets copies of these requests already',
                "name each upstream once",
                at=(at, "upstream"),
            )
    return mirrors


Mirrors = Annotated[
    list[Mirror], Field(max_length=_MOST), AfterValidator(_distinct), ONE_OR_MORE, OR_ITEM
]
