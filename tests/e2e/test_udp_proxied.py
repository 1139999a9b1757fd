"""The PROXY protocol in front of datagrams: from node to node, and what is told of whom."""

import socket
import struct
from contextlib import closing
from pathlib import Path

from access_log import AccessLog
from datagram_servers import Echo
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S, until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def config(outer: int, inner: int, endpoint: int, log: Path) -> str:
    """The endpoint of the first listener is the second, whose own is told of whom it heard."""
    return f"""
[node.access_log]
sink = {{ path = "{log}" }}

[listeners.outer]
address = "127.0.0.1:{outer}"
protocol = "udp"

[listeners.inner]
address = "127.0.0.1:{inner}"
protocol = "udp"
proxy_protocol = {{ trusted = ["127.0.0.1/32"] }}

[udp_routes.outer]
listeners = "outer"
upstream = "inner"
answers = 1

[udp_routes.inner]
listeners = "inner"
client = "127.0.0.77/32"
upstream = "echo"
answers = 1

[upstreams.inner]
endpoints = ["127.0.0.1:{inner}"]
proxy_protocol = "v2"

[upstreams.echo]
endpoints = ["127.0.0.1:{endpoint}"]
proxy_protocol = "v2"
"""


def told(datagram: bytes) -> tuple[tuple[str, int], tuple[str, int], bytes]:
    """The client and the destination of a header over IPv4, and what follows it."""
    assert datagram.startswith(SIGNATURE)
    command, family, length = struct.unpack("!BBH", datagram[12:16])
    assert (command, family) == (0x21, 0x12)
    source, destination, *ports = struct.unpack("!4s4sHH", datagram[16:28])
    ends = [
        (socket.inet_ntoa(ip), port) for ip, port in zip((source, destination), ports, strict=True)
    ]
    return ends[0], ends[1], datagram[16 + length :]


def ask(ip: str, port: int, data: bytes) -> tuple[tuple[str, int], bytes]:
    """Sends a datagram from an address; returns the client's own end and the answer."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as one:
        one.settimeout(DEADLINE_S)
        one.bind((ip, 0))
        one.connect(("127.0.0.1", port))
        one.send(data)
        return one.getsockname(), one.recv(65_536)


def test_a_client_is_told_through_two_nodes(folder: Path, port: int) -> None:
    inner, log = free_port(), folder / "flows.log"
    with (
        closing(Echo()) as echo,
        RunningNode(folder, config(port, inner, echo.port, log)).until_ready() as node,
    ):
        client, answer = ask("127.0.0.77", port, b"question")
        assert told(answer) == (client, ("127.0.0.1", port), b"question")
        lines = AccessLog(log).lines(2)
        assert len(lines) == 2
        assert {one["route"] for one in lines} == {"outer", "inner"}
        assert {(one["client_ip"], one["client_port"]) for one in lines} == {client}
        assert len({one["connection_id"] for one in lines}) == 2
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger:
            stranger.sendto(b"no header", ("127.0.0.1", inner))
        missing = 'headgate_udp_dropped_total{reason="proxy-missing"}'
        until(lambda: node.metric(missing) == 1, "the datagram is counted")
        said = node.command("explain", f"udp://127.0.0.1:{port}").stdout
        assert "upstream inner (round_robin, udp, PROXY v2)" in said
