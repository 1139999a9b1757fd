"""`random`: an endpoint by chance, by weight."""

from typing import ClassVar, Literal

from headgate.features.base import BalancerOptions


class Random(BalancerOptions):
    """A random endpoint; the weight sets its share."""

    key: ClassVar[str] = "random"
    summary: ClassVar[str] = "A random endpoint; the weight sets its share."

    def to_plan(self) -> Literal["random"]:
        """Returns the policy's plan node."""
        return "random"
