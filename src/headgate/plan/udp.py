"""The plan's UDP routes; the mirror of hg-plan's `objects/udp_route.rs`."""

from typing import Literal

from headgate.plan.node import DefaultedNode
from headgate.plan.objects import SplitPart
from headgate.plan.tcp import TcpBandwidth


class UdpRoute(DefaultedNode, frozen=True):
    """A UDP route; `listeners` is sorted and never empty, no `client` = every client, no
    `sni` = what no other route of the listener names. A `connection` of `bandwidth` is a flow.
    """

    listeners: tuple[str, ...]
    upstream: str
    client: tuple[str, ...] = ()
    sni: tuple[str, ...] = ()
    balance_by: Literal["flow", "datagram"] = "flow"
    answers: int | None = None
    idle_ms: int = 60_000
    bandwidth: TcpBandwidth | None = None

    @property
    def parts(self) -> tuple[SplitPart, ...]:
        """Its upstream, as that of a route with shares."""
        return (SplitPart(self.upstream),)
