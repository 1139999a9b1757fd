"""`[tcp_routes.NAME]`: which connections of TCP listeners go to which upstream."""

from typing import Annotated

from pydantic import Field

from headgate.features.base import Options
from headgate.features.fields import Alpn, Cidr, DurationOrOff, ServerName
from headgate.kernel.units import Duration
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM


class TcpTimeouts(Options):
    """How long a connection may last. How long connecting may take is set in the upstream."""

    idle: DurationOrOff = Field(
        default=Duration(3_600_000),
        description="How long a connection may stay without a byte in either direction.",
    )
    half_open: DurationOrOff = Field(
        default=Duration(60_000),
        description="The same once one side has sent its end of stream and the other has not.",
    )
    lifetime: DurationOrOff = Field(
        default=Duration(0),
        description="How long a connection may last at all, from accept; it is reset then.",
    )


class TcpRoute(Options):
    """A TCP route. Of several that take a connection, the one with the most specific server name
    wins, then the one whose protocol the client offers first, then the narrowest network.
    """

    listeners: Annotated[list[str], Field(min_length=1), ONE_OR_MORE, OR_ITEM] = Field(
        description='The listeners of the route, all with `protocol = "tcp"`.'
    )
    client: Annotated[list[Cidr], ONE_OR_MORE, OR_ITEM] = Field(
        default_factory=list,
        description="The route takes clients of these networks; absent = every client that no "
        "other route of the listener takes.",
    )
    sni: Annotated[list[ServerName], ONE_OR_MORE, OR_ITEM] = Field(
        default_factory=list,
        description="The route takes TLS connections for these server names: "
        "`a.example`, `*.example` for every name below it, `*` for any name. Absent = every name, "
        "and connections without one, that no other route of the listener takes. Where a route of "
        "a listener has `sni` or `alpn`, each connection there has to begin with a ClientHello.",
    )
    alpn: Annotated[list[Alpn], ONE_OR_MORE, OR_ITEM] = Field(
        default_factory=list,
        description="The route takes TLS connections that offer one of these protocols (ALPN), or "
        "have agreed on one where the listener has `tls`; absent = whatever they offer.",
    )
    upstream: str = Field(description="The upstream whose endpoints take the connections.")
    timeouts: TcpTimeouts = Field(
        default=TcpTimeouts(), description="How long a connection may last."
    )
