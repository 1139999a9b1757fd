"""`least_conn`: the endpoint with the fewest requests in flight."""

from typing import ClassVar

from headgate.features.base import BalancerOptions
from headgate.plan.balance import BalancerNode


class LeastConn(BalancerOptions):
    """The endpoint with the fewest requests in flight for its weight."""

    key: ClassVar[str] = "least_conn"
    summary: ClassVar[str] = "The endpoint with the fewest requests in flight for its weight."
    suits: ClassVar[str] = "requests of very different length"
    node = BalancerNode

    def to_plan(self) -> BalancerNode:
        """Returns the policy's plan node."""
        return BalancerNode()
