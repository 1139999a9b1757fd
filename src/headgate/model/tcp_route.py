"""`[tcp_routes.NAME]`: which connections of TCP listeners go to which upstream."""

from collections.abc import Iterator, Set
from typing import Annotated, Final, Literal

from pydantic import Field

from headgate.features.base import Checked, Options, excluding
from headgate.features.fields import Alpn, Cidr, DurationOrOff, ServerName
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration
from headgate.model.byte_limit import ByteLimit
from headgate.model.route import SplitPart
from headgate.model.shorthand import ONE_OR_MORE, OR_ITEM

_AIMS: Final = frozenset({"upstream", "split"})
_ONE_AIM: Final = "write either `upstream` or `split`"


class TcpTimeouts(Options):
    """The times that a connection may last. The time for connecting is set in the upstream."""

    idle: DurationOrOff = Field(
        default=Duration(3_600_000),
        description="How long a connection may go without a byte in either direction.",
    )
    half_open: DurationOrOff = Field(
        default=Duration(60_000),
        description="The same after one side has sent its end of stream and the other has not.",
    )
    lifetime: DurationOrOff = Field(
        default=Duration(0),
        description="How long a connection may last in all, from accept; then it is reset.",
    )


class TcpBandwidth(ByteLimit):
    """The limit on bytes of connections that pass in a second; what is over it waits."""

    key: Literal["connection", "client_ip", "all"] = Field(
        default="connection",
        description="What shares the rate: `connection` (each connection has its own rate), "
        "`client_ip` (all connections of a client share one), or `all` (all connections of the "
        "route share one).",
    )


class TcpSticky(Options):
    """The hash that keeps a client at its branch of a split.

    The branch follows from the hash: one that gets more weight takes clients from the other
    branches, and no other clients move.
    """

    by: Literal["client_ip"] = Field(
        description="What is hashed: `client_ip`, the address of the client."
    )


class TcpRoute(Checked):
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
        description="The route takes TLS connections for these server names: `a.example`, "
        "`*.example` for every name below it, `*` for any name. Absent = every name, and "
        "connections without one, that no other route of the listener takes. If a route of a "
        "listener has `sni` or `alpn`, each connection there has to begin with a ClientHello.",
    )
    alpn: Annotated[list[Alpn], ONE_OR_MORE, OR_ITEM] = Field(
        default_factory=list,
        description="The route takes TLS connections that offer one of these protocols (ALPN), or "
        "have agreed on one if the listener has `tls`; absent = whatever they offer.",
    )
    tls: Literal["terminate", "passthrough"] | None = Field(
        default=None,
        description="What to do with TLS: `terminate` ends it at the listener, which needs `tls`; "
        "`passthrough` passes it on unopened, even if the listener has `tls`. Absent = it ends if "
        "the listener has `tls`.",
    )
    upstream: str | None = Field(
        default=None, description="The upstream whose endpoints take the connections."
    )
    split: Annotated[list[SplitPart], Field(min_length=1)] | None = Field(
        default=None,
        description="Each connection goes to one of several upstreams, chosen by weight.",
    )
    sticky: TcpSticky | None = Field(
        default=None,
        description="What keeps a client at its branch of the split; absent = a branch is chosen "
        "for each connection separately.",
    )
    timeouts: TcpTimeouts = Field(
        default=TcpTimeouts(), description="How long a connection may last."
    )
    bandwidth: TcpBandwidth | None = Field(
        default=None,
        description="How many bytes may pass per second; absent = no limit.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error unless connections have somewhere to go, by one key."""
        given = _AIMS & (self.__pydantic_fields_set__ | wrong)
        if len(given) > 1:
            yield excluding(sorted(given), _ONE_AIM)
        elif not given and self.may_lack(wrong):
            yield Invalid("the route does not say where connections go", _ONE_AIM)
        if "sticky" in self.model_fields_set and "split" not in given and self.may_lack(wrong):
            yield Invalid(
                "the route has no split whose branches clients could stay at",
                "leave `sticky` out, or write `split`",
                at=("sticky",),
            )
        if self.split is not None and not any(part.weight for part in self.split):
            yield Invalid(
                "every weight of the split is 0", "write at least one above 0", at=("split",)
            )
