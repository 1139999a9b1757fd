"""Explains the bandwidth of a TCP or UDP route."""

from typing import Final, Literal

from headgate.compile.explanation import Locate, Step
from headgate.features.byterates import told
from headgate.plan.tcp import TcpBandwidth

_BY: Final = {
    "tcp_route": {
        "connection": "for each connection",
        "client_ip": "by client_ip",
        "all": "all connections of the route together",
    },
    "udp_route": {
        "connection": "for each flow; datagrams above it are dropped",
        "client_ip": "by client_ip; datagrams above it are dropped",
        "all": "all flows of the route together; datagrams above it are dropped",
    },
}


def byte_limits(
    kind: Literal["tcp_route", "udp_route"],
    name: str,
    limit: TcpBandwidth | None,
    locate: Locate,
) -> list[Step]:
    """Returns what a route does with bytes above its limit; nothing without one."""
    if limit is None:
        return []
    each = told((limit.download, limit.download_burst), (limit.upload, limit.upload_burst))
    place = locate(kind, name, "bandwidth")
    return [Step("bandwidth", "", place, f"{each}, {_BY[kind][limit.key]}")]
