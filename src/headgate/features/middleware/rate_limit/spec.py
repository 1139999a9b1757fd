"""`rate_limit`: how many requests a key may make in a time."""

from collections.abc import Iterator, Set
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, Strict

from headgate.features.base import MiddlewareOptions
from headgate.features.fields import FROM_ENV, Flag
from headgate.features.rates import MAX_REQUESTS, LimitKey, Rate, RateText, keyed
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration
from headgate.plan.middleware import DefaultedMiddlewareNode, Shown

_AWAY: Final = {"share": "a share each", "open": "no limit", "closed": "nobody"}
_TOLD: Final = ", announced to clients"
_DRY: Final = "; only counted (dry_run)"
_LONGEST: Final = Duration(300_000)
"""The longest wait."""


class RateLimitNode(DefaultedMiddlewareNode, frozen=True):
    """A rate limit; an empty `key` counts all requests together. `burst` is the whole, or that and
    how much of it passes at once.
    """

    requests: int
    period_ms: int
    burst: int | tuple[int, int]
    key: tuple[str, ...] = ()
    cost: int = 1
    dry_run: bool = False
    status: int = 429
    max_keys: int = 131_072
    ipv6_prefix: int = 64
    announce: bool = False
    across: Literal["node", "nodes"] = "node"
    when_away: Literal["share", "open", "closed"] = "share"

    @property
    def needs_limit_store(self) -> bool:
        """True if nodes share its counts."""
        return self.across == "nodes"

    @property
    def most(self) -> int:
        """The most that a key may owe."""
        return self.burst if isinstance(self.burst, int) else self.burst[0]

    @property
    def at_once(self) -> int:
        """The part of that which passes at once; what is above it waits."""
        return self.burst if isinstance(self.burst, int) else self.burst[1]

    @property
    def does(self) -> str:
        """The rate, what is counted, who shares the counts."""
        cost = f", {self.cost} for each" if self.cost > 1 else ""
        across = ""
        if self.across == "nodes":
            across = f", across nodes, {_AWAY[self.when_away]} while the store is away"
        rate = Rate(self.requests, self.period_ms)
        waits = f" (above {self.at_once} delayed)" if self.at_once < self.most else ""
        counted = f"{rate}, burst {self.most}{waits}{cost}, {keyed(self.key)}{across}"
        told = _TOLD if self.announce else ""
        return f"{counted}{told}{_DRY if self.dry_run else ''}"

    def shown(self) -> Shown:
        """Returns nothing: none of its texts is seen in what it makes."""
        return Shown()


class RateLimit(MiddlewareOptions):
    """Bound how many requests a client, or whatever `key` names, may make in a time."""

    key: ClassVar[str] = "rate_limit"
    summary: ClassVar[str] = "Limits how many requests a client may make in a period of time."
    node = RateLimitNode
    aliases: ClassVar[tuple[str, ...]] = ("rate_limits", "ratelimit", "limit_req", "throttle")

    rate: RateText = Field(
        description="The rate of requests, spread evenly: `100/s`, `600/m`, `1000/h`, `5000/d`, or "
        '`{ requests = 100, per = "10s" }`; 1 to 1000000 requests, 1 s to 1 day.'
    )
    burst: Annotated[int, Strict(), Field(ge=1, le=MAX_REQUESTS), FROM_ENV] | None = Field(
        default=None,
        description="How many requests may pass at once after a pause; absent = the number in "
        "`rate`.",
    )
    delay_above: Annotated[int, Strict(), Field(ge=1, le=MAX_REQUESTS), FROM_ENV] | None = Field(
        default=None,
        description="How many requests of the burst pass at once; those above it wait until the "
        "rate allows them, at most 5 minutes and 16384 at a time. Absent = the whole burst passes "
        "at once.",
    )
    limit_key: LimitKey = Field(
        default=("client_ip",),
        alias="key",
        description="What requests are counted by: `client_ip`, `host`, `route`, `path`, "
        "`path:NUMBER` (a segment of the path, 1 is the first), `header:NAME`, `cookie:NAME`, "
        "`jwt:CLAIM` (a claim of the token that an earlier `jwt` accepted), a list of these, or "
        "`all` for all requests together. A value that a request lacks counts as an empty text.",
    )
    ipv6_prefix: Annotated[int, Strict(), Field(ge=1, le=128), FROM_ENV] = Field(
        default=64,
        description="How many leading bits of an IPv6 address identify a client, 1 to 128.",
    )
    cost: Annotated[int, Strict(), Field(ge=1, le=MAX_REQUESTS), FROM_ENV] = Field(
        default=1, description="How many requests each request counts as; at most the burst."
    )
    dry_run: Flag = Field(
        default=False,
        description="Whether requests over the limit pass and are only counted in the metrics.",
    )
    status: Annotated[int, Strict(), Field(ge=400, le=599), FROM_ENV] = Field(
        default=429,
        description="The status of the response to a request over the limit, 400 to 599.",
    )
    announce: Flag = Field(
        default=False,
        description="Whether responses to requests within the limit also have the fields RateLimit "
        "and RateLimit-Policy, which say how much of the limit is left.",
    )
    max_keys: Annotated[int, Strict(), Field(ge=1, le=1 << 24), FROM_ENV] = Field(
        default=131_072,
        description="The size of the table, in keys that have not earned back their whole burst; 8 "
        "bytes for each, rounded up to a power of two.",
    )

    across: Literal["node", "nodes"] = Field(
        default="node",
        description="What shares the counts: the workers of this `node`, or all `nodes` that use "
        "the store in `node.limit_store`.",
    )
    when_away: Literal["share", "open", "closed"] | None = Field(
        default=None,
        description="What a limit across nodes does while the store is away: with `share`, the "
        "default, each node admits its share (the rate and the burst divided by "
        "`node.limit_store.nodes`); with `open` all requests pass; with `closed` all requests get "
        "503.",
        json_schema_extra={"default": "share"},
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for a cost that no burst can hold, and a policy that nothing asks."""
        if self.when_away is not None and not wrong & {"across"} and self.across == "node":
            yield Invalid(
                "a limit of one node asks no store that could be away",
                'leave it out, or write across = "nodes"',
                at=("when_away",),
            )
        if wrong & {"rate", "burst", "cost"}:
            return
        if "delay_above" not in wrong and self.delay_above is not None:
            yield from self._delayed(self.delay_above)
        if self.cost > self.most:
            yield Invalid(
                f"a cost of {self.cost} is above the burst of {self.most}: no request would pass",
                "write a smaller cost, or a greater burst",
                at=("cost",),
            )

    def _delayed(self, above: int) -> Iterator[Invalid]:
        """Yields an error for a limit that delays no request, or one for too long."""
        at = ("delay_above",)
        if above >= self.most:
            yield Invalid(
                f"the burst of {self.most} is not above {above}: no request would wait",
                "leave it out, or write a greater burst",
                at=at,
            )
        elif (self.most - above) * self.rate.period_ms > _LONGEST.ms * self.rate.requests:
            yield Invalid(
                f"a request would wait for more than {_LONGEST}", "write a smaller burst", at=at
            )
        if self.across == "nodes":
            yield Invalid("a limit across nodes delays no requests", "leave it out", at=at)

    @property
    def most(self) -> int:
        """The burst, or the requests of the rate where none is given."""
        return self.rate.requests if self.burst is None else self.burst

    def to_plan(self) -> RateLimitNode:
        """Returns the limit's plan node."""
        return RateLimitNode(
            requests=self.rate.requests,
            period_ms=self.rate.period_ms,
            burst=self.most if self.delay_above is None else (self.most, self.delay_above),
            key=self.limit_key,
            cost=self.cost,
            dry_run=self.dry_run,
            status=self.status,
            announce=self.announce,
            max_keys=self.max_keys,
            ipv6_prefix=self.ipv6_prefix,
            across=self.across,
            when_away=self.when_away or "share",
        )
