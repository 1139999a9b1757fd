"""`round_robin`: endpoints in turn, by weight."""

from typing import ClassVar

from headgate.features.base import BalancerOptions
from headgate.plan.balance import BalancerNode


class RoundRobin(BalancerOptions):
    """Endpoints in turn; heavier ones come more often, evenly spread."""

    key: ClassVar[str] = "round_robin"
    summary: ClassVar[str] = "Endpoints in turn; heavier ones come more often, evenly spread."
    suits: ClassVar[str] = "similar endpoints and similar requests"
    node = BalancerNode

    def to_plan(self) -> BalancerNode:
        """Returns the policy's plan node."""
        return BalancerNode()
