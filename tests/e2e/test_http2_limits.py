"""`listeners.NAME.http2` on a node: what it announces, cuts off and counts."""

import json
import socket
import struct
from pathlib import Path

from http2_wire import GOAWAY, PING, PREFACE, SETTINGS, exactly, frame
from running_node import RunningNode, Upstream, config
from told import until_metric, until_metrics_say
from waiting import DEADLINE_S

MAX_CONCURRENT_STREAMS = 3
ENHANCE_YOUR_CALM = 11


def limited(port: int, upstream: str, http2: str) -> str:
    """The usual config with a listener that has these limits."""
    text = config(port, upstream)
    return text.replace("[listeners.web]\n", f"[listeners.web]\nh2c = true\nhttp2 = {http2}\n")


class Client:
    """A connection that speaks frames."""

    def __init__(self, port: int) -> None:
        self.link = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
        self.link.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
        kind, payload = self.read()
        assert kind == SETTINGS
        self.settings = dict(struct.iter_unpack(">HL", payload))

    def read(self) -> tuple[int, bytes]:
        """The type and the payload of the next frame."""
        head = exactly(self.link, 9)
        return head[3], exactly(self.link, int.from_bytes(head[:3]))

    def pings(self, count: int) -> int | None:
        """Sends so many PINGs; the code with which the connection ends, if it does."""
        last = b"the last"
        sent = frame(PING, 0, 0, b"12345678") * (count - 1) + frame(PING, 0, 0, last)
        self.link.sendall(frame(SETTINGS, 1, 0, b"") + sent)
        while True:
            kind, payload = self.read()
            if kind == PING and payload == last:
                return None
            if kind == GOAWAY and payload[4:] != bytes(4):
                return int.from_bytes(payload[4:8])


def test_the_limits_of_a_listener_hold_for_the_connections_that_begin_after_a_reload(
    folder: Path, port: int, one: Upstream
) -> None:
    flood = r'headgate_http2_closed_total\{reason="ping-flood"\}'
    with RunningNode(folder, limited(port, one.address, "{}"), "--no-watch").until_ready() as node:
        first = Client(port)
        assert first.settings[MAX_CONCURRENT_STREAMS] == 128
        assert first.pings(20) is None
        node.write(limited(port, one.address, "{ streams = 16, budgets = { pings = 10 } }"))
        assert node.admin("POST", "/reload")[0] == 200
        assert first.pings(20) is None
        second = Client(port)
        assert second.settings[MAX_CONCURRENT_STREAMS] == 16
        assert second.pings(20) == ENHANCE_YOUR_CALM
        until_metric(node, flood, 1)
        until_metrics_say(node, "headgate_http2_limited_total")


def test_a_limit_out_of_its_range_is_refused_and_the_node_goes_on(
    folder: Path, port: int, one: Upstream
) -> None:
    with RunningNode(folder, limited(port, one.address, "{}"), "--no-watch").until_ready() as node:
        node.write(limited(port, one.address, "{ streams = 0 }"))
        status, said = node.admin("POST", "/reload")
        assert status != 200
        (wrong,) = json.loads(said)["diagnostics"]
        assert wrong["path"] == "listeners.web.http2.streams", wrong
        assert wrong["allowed"] == "write a whole number from 1 to 10000", wrong
        assert Client(port).pings(20) is None
