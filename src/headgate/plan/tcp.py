"""The plan's TCP routes; the mirror of hg-plan's `objects/tcp_route.rs`."""

from typing import Literal

from headgate.plan.node import DefaultedNode
from headgate.plan.objects import SplitPart, Sticky


class TcpTimeouts(DefaultedNode, frozen=True):
    """Timeouts of a TCP route; 0 = off."""

    idle_ms: int = 3_600_000
    half_open_ms: int = 60_000
    lifetime_ms: int = 0


class TcpBandwidth(DefaultedNode, frozen=True):
    """A limit of bytes of connections; rates in bytes a second, 0 = any. `key` is `connection`,
    `client_ip` or `all`.
    """

    download: int = 0
    download_burst: int = 0
    upload: int = 0
    upload_burst: int = 0
    key: str = "connection"
    ipv6_prefix: int = 64
    max_keys: int = 131_072


class TcpRoute(DefaultedNode, frozen=True):
    """A TCP route; `listeners` is sorted and never empty, no `client` = every client, no `sni` =
    what no other route names, no `alpn` = whatever is offered, no `tls` = it ends where the
    listener has TLS. It has either `upstream` or `split`; `sticky` keeps a client at its branch.
    """

    listeners: tuple[str, ...]
    upstream: str | None = None
    split: tuple[SplitPart, ...] = ()
    sticky: Sticky | None = None
    client: tuple[str, ...] = ()
    sni: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ()
    tls: Literal["terminate", "passthrough"] | None = None
    timeouts: TcpTimeouts = TcpTimeouts()
    bandwidth: TcpBandwidth | None = None

    @property
    def parts(self) -> tuple[SplitPart, ...]:
        """Its upstreams with their shares."""
        return self.split if self.upstream is None else (SplitPart(self.upstream),)

    def path(self, index: int) -> tuple[str | int, ...]:
        """Returns the path at which the user wrote the name of one of them."""
        return ("upstream",) if self.upstream is not None else ("split", index, "upstream")
