"""`[udp_routes.NAME]`: which datagrams of UDP listeners go to which upstream."""

from typing import Annotated, Literal

from pydantic import Field, Strict

from headgate.features.base import Options
from headgate.features.fields import FROM_ENV, Cidr, DurationText
from headgate.kernel.units import Duration
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM


class UdpTimeouts(Options):
    """How long a flow may last."""

    idle: DurationText = Field(
        default=Duration(60_000),
        description="How long a flow may stay without a datagram in either direction.",
    )


class UdpRoute(Options):
    """A UDP route. Of several that take a client, the one with the narrowest network wins."""

    listeners: Annotated[list[str], Field(min_length=1), ONE_OR_MORE, OR_ITEM] = Field(
        description='The listeners of the route, all with `protocol = "udp"`.'
    )
    client: Annotated[list[Cidr], ONE_OR_MORE, OR_ITEM] = Field(
        default_factory=list,
        description="The route takes clients of these networks; absent = every client that no "
        "other route of the listener takes.",
    )
    upstream: str = Field(description="The upstream whose endpoints take the datagrams.")
    balance_by: Literal["flow", "datagram"] = Field(
        default="flow",
        description="What the balancer chooses an endpoint for: with `flow` all datagrams of a "
        "client go to one endpoint as long as its flow lasts, with `datagram` each goes to the "
        "next, and every endpoint answers in a flow of its own.",
    )
    answers: Annotated[int, Strict(), Field(ge=1, le=1_000_000), FROM_ENV] | None = Field(
        default=None,
        description="A flow ends once each datagram of its client has had so many answers, as "
        "with DNS, where it is 1. Absent = when it is idle.",
    )
    timeouts: UdpTimeouts = Field(default=UdpTimeouts(), description="How long a flow may last.")
