"""`ring_hash`: consistent hashing on a ring, with a bound on the load of one endpoint."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, Strict

from headgate.features.base import BalancerOptions
from headgate.features.fields import FROM_ENV
from headgate.features.hash_key import HashKey
from headgate.kernel.errors import Invalid
from headgate.plan.balance import DefaultedBalancerNode


def _bound(percent: int) -> int:
    """Checks the bound: below the mean no endpoint could take its share."""
    if 0 < percent < 100:  # noqa: PLR2004 - percent
        raise Invalid(
            f"{percent} is below the mean load", "write 0 (no bound), or 100 to 10000 percent"
        )
    return percent


class RingHashNode(DefaultedBalancerNode, frozen=True):
    """The plan node; `load_bound` in percent of the mean, 0 = off."""

    key: str
    virtual_nodes: int = 100
    load_bound: int = 125

    @property
    def hashed(self) -> str:
        """The part of a request that it hashes."""
        return self.key


class RingHash(BalancerOptions):
    """Consistent hashing on a ring, with a bound on the load of one endpoint."""

    key: ClassVar[str] = "ring_hash"
    summary: ClassVar[str] = (
        "Consistent hashing on a ring, with a bound on the load of one endpoint."
    )
    suits: ClassVar[str] = "caches, where few keys may move and no endpoint may overload"
    node = RingHashNode

    hash_key: HashKey = Field(
        default="client_ip",
        alias="key",
        description="The part of the request to hash: `client_ip`, `path`, `header:NAME` or "
        "`cookie:NAME`.",
    )
    virtual_nodes: Annotated[int, Strict(), Field(ge=1, le=10_000), FROM_ENV] = Field(
        default=100, description="Points on the ring for each unit of weight."
    )
    load_bound: Annotated[
        int, Strict(), Field(ge=0, le=10_000), FROM_ENV, AfterValidator(_bound)
    ] = Field(
        default=125,
        description="The load of an endpoint, in percent of the mean, above which the next "
        "endpoint on the ring takes the request; 100 or more, or 0 = no bound.",
    )

    def to_plan(self) -> RingHashNode:
        """Returns the policy's plan node."""
        return RingHashNode(self.hash_key, self.virtual_nodes, self.load_bound)
