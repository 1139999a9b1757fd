"""`round_robin`: endpoints in turn, by weight."""

from typing import ClassVar, Literal

from headgate.features.base import BalancerOptions


class RoundRobin(BalancerOptions):
    """Endpoints in turn, smoothly by weight."""

    key: ClassVar[str] = "round_robin"
    summary: ClassVar[str] = "Endpoints in turn, smoothly by weight."

    def to_plan(self) -> Literal["round_robin"]:
        """The policy's plan node."""
        return "round_robin"
