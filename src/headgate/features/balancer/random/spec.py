"""`random`: an endpoint by chance, by weight."""

from typing import ClassVar, Literal

from headgate.features.base import BalancerOptions


class Random(BalancerOptions):
    """An endpoint by chance, by weight."""

    key: ClassVar[str] = "random"
    summary: ClassVar[str] = "An endpoint by chance, by weight."

    def to_plan(self) -> Literal["random"]:
        """The policy's plan node."""
        return "random"
