"""`random`: an endpoint by chance, by weight."""

from typing import ClassVar

from headgate.features.base import BalancerOptions
from headgate.plan.balance import BalancerNode


class Random(BalancerOptions):
    """A random endpoint; the weight sets its share."""

    key: ClassVar[str] = "random"
    summary: ClassVar[str] = "A random endpoint; the weight sets its share."
    suits: ClassVar[str] = "many proxies in front of the same endpoints"
    node = BalancerNode

    def to_plan(self) -> BalancerNode:
        """Returns the policy's plan node."""
        return BalancerNode()
