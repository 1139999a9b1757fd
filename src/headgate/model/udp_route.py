"""`[udp_routes.NAME]`: which datagrams of UDP listeners go to which upstream."""

from collections.abc import Iterator, Set
from typing import Annotated, Literal

from pydantic import Field, Strict

from headgate.features.base import Checked, Options
from headgate.features.fields import FROM_ENV, Cidr, DurationText, ServerName
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration
from headgate.model.byte_limit import ByteLimit
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM


class UdpTimeouts(Options):
    """The times that a flow may last."""

    idle: DurationText = Field(
        default=Duration(60_000),
        description="How long a flow may go without a datagram in either direction.",
    )


class UdpBandwidth(ByteLimit):
    """The limit on bytes of datagrams in a second; datagrams above it are dropped and counted."""

    key: Literal["flow", "client_ip", "all"] = Field(
        default="flow",
        description="What shares the rate: `flow` (each flow has its own rate), `client_ip` (all "
        "flows of a client share one), or `all` (all flows of the route share one).",
    )


class UdpRoute(Checked):
    """A UDP route. Of several that take a client, the one with the most specific server name wins,
    then the narrowest network.
    """

    listeners: Annotated[list[str], Field(min_length=1), ONE_OR_MORE, OR_ITEM] = Field(
        description='The listeners of the route, all with `protocol = "udp"`.'
    )
    client: Annotated[list[Cidr], ONE_OR_MORE, OR_ITEM] = Field(
        default_factory=list,
        description="The route takes clients of these networks; absent = every client that no "
        "other route of the listener takes.",
    )
    sni: Annotated[list[ServerName], ONE_OR_MORE, OR_ITEM] = Field(
        default_factory=list,
        description="The route takes QUIC connections for these server names: `a.example`, "
        "`*.example` for every name below it, `*` for any name. Absent = every name, and datagrams "
        "without one, that no other route of the listener takes.",
    )
    upstream: str = Field(description="The upstream whose endpoints take the datagrams.")
    balance_by: Literal["flow", "datagram"] = Field(
        default="flow",
        description="What the balancer chooses an endpoint for: with `flow`, all datagrams of a "
        "client go to one endpoint as long as its flow lasts; with `datagram`, each one goes to "
        "the next endpoint, and every endpoint answers in its own flow.",
    )
    answers: Annotated[int, Strict(), Field(ge=1, le=1_000_000), FROM_ENV] | None = Field(
        default=None,
        description="A flow ends once each datagram of its client has had this many answers; for "
        "DNS that is 1. Absent = it ends when it is idle.",
    )
    timeouts: UdpTimeouts = Field(default=UdpTimeouts(), description="How long a flow may last.")
    bandwidth: UdpBandwidth | None = Field(
        default=None,
        description="How many bytes of datagrams may pass per second; absent = no limit.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for what would divide, or end, the flow of a QUIC connection."""
        if not self.sni or "sni" in wrong:
            return
        for key, told in (
            ("balance_by", self.balance_by == "datagram"),
            ("answers", self.answers is not None),
        ):
            if told and key not in wrong:
                yield Invalid(
                    f"a route with `sni` takes QUIC connections, which `{key}` would break",
                    f"leave `{key}` out, or `sni`",
                    at=(key,),
                )
