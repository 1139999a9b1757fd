"""Row 35: a UDP endpoint whose port is closed, and clients without number."""

import socket
from contextlib import suppress
from pathlib import Path

from fault_lab import Lab, Seen, total
from ports import free_port
from running_node import RunningNode
from waiting import until

SOURCES = 100_000
AT_ONCE = 200
"""Datagrams on their way at a time: as many as the buffer of a socket holds."""
EACH = 250
"""Clients of one source address."""

_CONFIG = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "200ms", deadline = "5s" }}

[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "udp"

[udp_routes.raw]
listeners = "raw"
upstream = "raw"
timeouts = {{ idle = "2s" }}

[upstreams.raw]
endpoints = ["127.0.0.1:{endpoint}"]
"""
_FIRST_PORT = 62_000
_RESIDENT = "headgate_dataplane_resident_bytes"
_OPENED = "headgate_udp_flows_opened_total"


def closed_port(lab: Lab, seen: Seen) -> None:
    """Row 35: each client sends one datagram to a route whose only endpoint has a closed port."""
    endpoint = free_port()
    text = _CONFIG.format(port=lab.port, endpoint=endpoint)
    with lab.node(text).until_ready() as node:
        _send(node, lab.port, range(SOURCES // 10))
        _rest(node)
        before, memory = _descriptors(node), total(node, _RESIDENT)
        _send(node, lab.port, range(SOURCES // 10, SOURCES))
        dropped = total(node, "headgate_udp_dropped_total")
        opened = total(node, _OPENED)
        _rest(node)
        after, grown = _descriptors(node), (total(node, _RESIDENT) - memory) / (1 << 20)
        ended = total(node, "headgate_udp_closed_total")
        seen.check(
            f"{SOURCES:,} clients, one datagram each: {opened:,.0f} flows opened, {dropped:,.0f} "
            "datagrams dropped and counted",
            opened + dropped == SOURCES,
        )
        failures = total(node, "proxy_backend_failures_total")
        seen.check(f"the closed port counted as a failure {failures:,.0f} times", failures > 0)
        seen.check(f"idle flows ended: {ended:,.0f}, left: 0", ended == opened)
        seen.check(f"descriptors {before} -> {after}", after <= before + 2)
        seen.check(f"memory grew by {grown:.1f} MiB", grown < 8)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", endpoint))
            server.settimeout(0.5)
            until(lambda: _answers(lab.port, server), "the endpoint that is back answers")
            seen.check("a server at that port then answers", True)


def _send(node: RunningNode, port: int, clients: range) -> None:
    """Sends one datagram from each client, and waits until the node has counted each."""

    def counted() -> float:
        return total(node, _OPENED) + total(node, "headgate_udp_dropped_total")

    base = counted()
    for first in range(clients.start, clients.stop, AT_ONCE):
        some = range(first, min(first + AT_ONCE, clients.stop))
        for n in some:
            at = n // EACH
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                # A port of its own, which no other client of that address has had.
                one.bind((f"127.1.{at // 250}.{at % 250 + 1}", _FIRST_PORT + n % EACH))
                one.sendto(b"%d" % n, ("127.0.0.1", port))
        sent = some.stop - clients.start
        until(lambda: counted() - base == sent, "each datagram is counted")  # noqa: B023


def _rest(node: RunningNode) -> None:
    until(lambda: total(node, "headgate_udp_flows") == 0, "every flow is idle")


def _descriptors(node: RunningNode) -> int:
    return len(list(Path(f"/proc/{node.data_plane()[1]}/fd").iterdir()))


def _answers(port: int, server: socket.socket) -> bool:
    """Whether a datagram gets to the server, and its answer back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, suppress(TimeoutError):
        one.settimeout(0.5)
        one.sendto(b"?", ("127.0.0.1", port))
        data, peer = server.recvfrom(100)
        server.sendto(data, peer)
        return one.recv(100) == b"?"
    return False
