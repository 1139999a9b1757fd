"""`p2c`: the better of two endpoints picked by chance."""

from typing import ClassVar, Literal

from headgate.features.base import BalancerOptions


class P2c(BalancerOptions):
    """The better of two random endpoints, by latency times load; failures count as slow."""

    key: ClassVar[str] = "p2c"
    summary: ClassVar[str] = (
        "The better of two random endpoints, by latency times load; failures count as slow."
    )

    def to_plan(self) -> Literal["p2c"]:
        """Returns the policy's plan node."""
        return "p2c"
