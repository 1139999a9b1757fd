"""Row 13: reload after reload, under load and under WebSocket connections that live on."""

import json
import os
import socket
import threading
import time

from fault_changes import put, versioned
from fault_lab import Lab, Seen, get, kinds, many, read_head

SECONDS = 15
ECHOES = 16
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Echo:
    """A WebSocket connection whose messages all come back, as long as it is used."""

    def __init__(self, port: int) -> None:
        self.messages = 0
        self.failure = ""
        self._connection = socket.create_connection(("127.0.0.1", port), 10)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sendall(HANDSHAKE)
        answer = read_head(self._connection)
        if not answer.startswith(b"HTTP/1.1 101 "):
            self.failure = f"no upgrade: {answer[:80]!r}"

    def until(self, end: float) -> None:
        """Sends message after message until then, and stops at the first that is not echoed."""
        while not self.failure and time.monotonic() < end:
            try:
                self._once()
            except OSError as error:
                self.failure = f"{type(error).__name__}: {error}"

    def close(self) -> None:
        """Ends it."""
        self._connection.close()

    def _once(self) -> None:
        payload = b"%d " % self.messages + os.urandom(100)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self._connection.sendall(bytes((0x82, 0x80 | len(payload))) + mask + masked)
        expected, got = bytes((0x82, len(payload))) + payload, b""
        while len(got) < len(expected):
            part = self._connection.recv(len(expected) - len(got))
            if not part:
                self.failure = f"ended after {self.messages} messages"
                return
            got += part
        if got != expected:
            self.failure = f"message {self.messages} came back otherwise"
        self.messages += 1


def reloads_under_load(lab: Lab, seen: Seen) -> None:
    """Row 13: two that reload as fast as they can; full load and echoes on the same connections."""
    upstream = lab.endpoint()
    outcomes: dict[str, int] = {}
    lock = threading.Lock()
    turns = [0]
    with lab.node(versioned(lab, upstream.address, 0)).until_ready() as node:
        echoes = [Echo(lab.port) for _ in range(ECHOES)]
        end = time.monotonic() + SECONDS

        def work(number: int) -> None:
            if number >= 2:
                return echoes[number - 2].until(end)
            while time.monotonic() < end:
                with lock:
                    turns[0] += 1
                    put(node, versioned(lab, upstream.address, turns[0]))
                status, body = node.admin("POST", "/reload")
                outcome = str(json.loads(body).get("outcome", status))
                with lock:
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1
            return None

        load = lab.storm(SECONDS)
        with many(2 + ECHOES, work):
            pass
        whole, failures = load.result()
        node.admin("POST", "/reload")
        last = get(lab.port).version
        for one in echoes:
            one.close()
    bad = {name: count for name, count in outcomes.items() if name not in {"applied", "unchanged"}}
    rate = outcomes.get("applied", 0) * 60 / SECONDS
    seen.check(
        f"{sum(outcomes.values())} reloads: {outcomes}, {rate:,.0f} applied a minute",
        not bad and rate >= 1000,
    )
    seen.check(f"{whole['answers']:,} answers, failures: {kinds(failures)}", not failures)
    broken = [one.failure for one in echoes if one.failure]
    told = sum(one.messages for one in echoes)
    seen.check(
        f"{ECHOES} WebSocket connections lived through it, {told:,} echoes, failures: "
        f"{broken or 'none'}",
        not broken and told > 1000,
    )
    seen.check(f"the last config wins: {last} of {turns[0]}", last == str(turns[0]))
