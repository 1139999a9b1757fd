"""`least_conn`: the endpoint with the fewest requests in flight."""

from typing import ClassVar, Literal

from headgate.features.base import BalancerOptions


class LeastConn(BalancerOptions):
    """The endpoint with the fewest requests in flight for its weight."""

    key: ClassVar[str] = "least_conn"
    summary: ClassVar[str] = "The endpoint with the fewest requests in flight for its weight."

    def to_plan(self) -> Literal["least_conn"]:
        """Returns the policy's plan node."""
        return "least_conn"
