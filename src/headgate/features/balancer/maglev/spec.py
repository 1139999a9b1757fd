"""`maglev`: consistent hashing by a lookup table (Eisenbud et al., NSDI 2016)."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, Strict

from headgate.features.base import BalancerOptions
from headgate.features.fields import FROM_ENV
from headgate.features.hash_key import HashKey
from headgate.kernel.errors import Invalid
from headgate.plan.balance import DefaultedBalancerNode


def _prime(size: int) -> int:
    divisors = range(2, int(size**0.5) + 1)
    if any(size % divisor == 0 for divisor in divisors):
        raise Invalid(f"{size} is not a prime", "write a prime such as 65537, 251 or 5003")
    return size


class MaglevNode(DefaultedBalancerNode, frozen=True):
    """The plan node; `table_size` is a prime."""

    key: str
    table_size: int = 65_537

    @property
    def hashed(self) -> str:
        """The part of a request that it hashes."""
        return self.key


class Maglev(BalancerOptions):
    """Consistent hashing by a lookup table: even shares, few moves when endpoints change."""

    key: ClassVar[str] = "maglev"
    summary: ClassVar[str] = (
        "Consistent hashing with a lookup table: even shares, and few keys move on a change."
    )
    suits: ClassVar[str] = "stickiness with even shares at the lowest cost"
    node = MaglevNode

    hash_key: HashKey = Field(
        default="client_ip",
        alias="key",
        description="The part of the request to hash: `client_ip`, `path`, `header:NAME` or "
        "`cookie:NAME`.",
    )
    table_size: Annotated[
        int, Strict(), Field(ge=251, le=5_000_011), FROM_ENV, AfterValidator(_prime)
    ] = Field(
        default=65_537,
        description="The number of entries in the table: a prime well above the number of "
        "endpoints.",
    )

    @property
    def places(self) -> tuple[str, int]:
        """The table has an entry for each endpoint."""
        return "table_size", self.table_size

    def to_plan(self) -> MaglevNode:
        """Returns the policy's plan node."""
        return MaglevNode(self.hash_key, self.table_size)
