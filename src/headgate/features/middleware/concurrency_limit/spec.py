"""`concurrency_limit`: how many requests of a key may be in progress."""

from typing import Annotated, ClassVar

from pydantic import Field, Strict

from headgate.features.base import MiddlewareOptions
from headgate.features.fields import FROM_ENV, Flag
from headgate.features.rates import MAX_REQUESTS, LimitKey, keyed
from headgate.plan.middleware import DefaultedMiddlewareNode, Shown


class ConcurrencyLimitNode(DefaultedMiddlewareNode, frozen=True):
    """A limit of requests in progress; an empty `key` counts all requests together."""

    requests: int
    key: tuple[str, ...] = ()
    dry_run: bool = False
    status: int = 429
    max_keys: int = 16_384
    ipv6_prefix: int = 64

    @property
    def does(self) -> str:
        """The number of requests, and what is counted."""
        dry = "; only counted (dry_run)" if self.dry_run else ""
        return f"{self.requests} in progress, {keyed(self.key)}{dry}"

    def shown(self) -> Shown:
        """Returns nothing: none of its texts is seen in what it makes."""
        return Shown()


class ConcurrencyLimit(MiddlewareOptions):
    """Bound how many requests of a client, or of whatever `key` names, are in progress."""

    key: ClassVar[str] = "concurrency_limit"
    summary: ClassVar[str] = "Limits how many requests of a client are in progress at once."
    node = ConcurrencyLimitNode
    aliases: ClassVar[tuple[str, ...]] = ("limit_conn", "in_flight_req")

    requests: Annotated[int, Strict(), Field(ge=1, le=MAX_REQUESTS), FROM_ENV] = Field(
        description="How many requests with the same key may be in progress at once, 1 to 1000000."
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
    dry_run: Flag = Field(
        default=False,
        description="Whether requests over the limit pass and are only counted in the metrics.",
    )
    status: Annotated[int, Strict(), Field(ge=400, le=599), FROM_ENV] = Field(
        default=429,
        description="The status of the response to a request over the limit, 400 to 599.",
    )
    max_keys: Annotated[int, Strict(), Field(ge=1, le=1 << 24), FROM_ENV] = Field(
        default=16_384,
        description="The size of the table, in keys with requests in progress; 8 bytes for each, "
        "rounded up to a power of two. A request whose key finds no room is refused.",
    )

    def to_plan(self) -> ConcurrencyLimitNode:
        """Returns the limit's plan node."""
        return ConcurrencyLimitNode(
            requests=self.requests,
            key=self.limit_key,
            dry_run=self.dry_run,
            status=self.status,
            max_keys=self.max_keys,
            ipv6_prefix=self.ipv6_prefix,
        )
