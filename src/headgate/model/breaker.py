"""`circuit_breaker` of an upstream: when requests are kept from what fails."""

from collections.abc import Iterator, Set
from typing import Annotated, Final, Literal

from pydantic import Field, Strict, WithJsonSchema

from headgate.features.base import Checked
from headgate.features.fields import FROM_ENV, DurationText, PercentOrOff, count_or_off
from headgate.kernel.errors import Invalid
from headgate.kernel.nearest import listed
from headgate.kernel.units import Duration

_MOST: Final = 1000
_LONGEST_MS: Final = 60_000
_SHORTEST_MS: Final = 1_000

Failures = Annotated[
    int,
    count_or_off(_MOST),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": _MOST}, {"const": "off"}]}
    ),
]
Few = Annotated[int, Strict(), Field(ge=1, le=100), FROM_ENV]


class CircuitBreaker(Checked):
    """A breaker that keeps requests from an endpoint, or the whole upstream, because it fails."""

    per: Literal["endpoint", "upstream"] = Field(
        default="endpoint",
        description="`endpoint` gives each endpoint its own breaker; `upstream` gives all "
        "endpoints one breaker together.",
    )
    failures: Failures = Field(
        default=5,
        description="The breaker opens after this many failures in a row: any 5xx, no connection, "
        "no response in time, or a broken one.",
    )
    open_for: DurationText = Field(
        default=Duration(30_000),
        description="How long the breaker stays open; while it is, no request goes through. Then "
        "it is half open.",
    )
    successes: Few = Field(
        default=2,
        description="This many successes close a half-open breaker; one failure opens it.",
    )
    probes: Few = Field(
        default=2, description="The most requests that go through a half-open breaker at once."
    )
    error_percent: PercentOrOff = Field(
        default=0,
        description="The breaker also opens when this percentage of the requests in `window` "
        "failed; a response with 429 counts as failed here.",
    )
    slow_percent: PercentOrOff = Field(
        default=0,
        description="The breaker also opens when this percentage of the responses in `window` were "
        "slow.",
    )
    slow_after: DurationText = Field(
        default=Duration(1_000), description="A response whose head takes longer is slow."
    )
    requests: Annotated[int, Strict(), Field(ge=1, le=1_000_000), FROM_ENV] = Field(
        default=20,
        description="The fewest requests in `window` for which a percentage is computed.",
    )
    window: DurationText = Field(
        default=Duration(10_000),
        description="The time over which percentages are counted, 1 to 60 seconds; a fraction of a "
        "second counts as a whole one.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for keys that do nothing together."""
        openers = ("failures", "error_percent", "slow_percent")
        if not wrong & set(openers) and not any(getattr(self, key) for key in openers):
            yield Invalid("nothing opens the breaker", f"give a number to one of {listed(openers)}")
        if not _SHORTEST_MS <= self.window.ms <= _LONGEST_MS and "window" not in wrong:
            yield Invalid(
                f'"{self.window}" is not a window', 'write 1 to 60 seconds: "10s"', at=("window",)
            )
        shares = {"error_percent", "slow_percent"}
        has_share = self.error_percent or self.slow_percent or wrong & shares
        given = self.model_fields_set | wrong
        if not has_share:
            yield from _useless(("requests", "window"), given, "`error_percent` or `slow_percent`")
        if not self.slow_percent and "slow_percent" not in wrong:
            yield from _useless(("slow_after",), given, "`slow_percent`")


def _useless(keys: tuple[str, ...], given: Set[str], needs: str) -> Iterator[Invalid]:
    for key in keys:
        if key in given:
            yield Invalid(
                f"`{key}` does nothing without {needs}",
                f"leave it out, or give a number to {needs}",
                at=(key,),
            )
            return
