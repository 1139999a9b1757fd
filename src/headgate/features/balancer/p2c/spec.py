"""`p2c`: the better of two endpoints picked by chance."""

from typing import ClassVar

from headgate.features.base import BalancerOptions
from headgate.plan.balance import BalancerNode


class P2c(BalancerOptions):
    """The better of two random endpoints, by latency times load; failures count as slow."""

    key: ClassVar[str] = "p2c"
    summary: ClassVar[str] = (
        "The better of two random endpoints, by latency times load; failures count as slow."
    )
    suits: ClassVar[str] = "endpoints of different or changing speed"
    node = BalancerNode

    def to_plan(self) -> BalancerNode:
        """Returns the policy's plan node."""
        return BalancerNode()
