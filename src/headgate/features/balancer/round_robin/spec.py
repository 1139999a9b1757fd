"""`round_robin`: endpoints in turn, by weight."""

from typing import ClassVar, Literal

from headgate.features.base import BalancerOptions


class RoundRobin(BalancerOptions):
    """Endpoints in turn; heavier ones come more often, evenly spread."""

    key: ClassVar[str] = "round_robin"
    summary: ClassVar[str] = "Endpoints in turn; heavier ones come more often, evenly spread."

    def to_plan(self) -> Literal["round_robin"]:
        """Returns the policy's plan node."""
        return "round_robin"
