"""Cases about bytes and datagrams that are passed on unread: bulk, UDP, memory of sessions.

Round trips over TCP are cases of `traffic`, whose request then is no HTTP.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from loads import Load, LoadError
from machine import SESSIONS as MOST
from machine import Window, wait_until_quiet
from peers.base import Peer, Setup
from results import Metrics
from running import RunningPeer, running
from steady import Steady, steady

from cases.base import Context, undisturbed
from cases.idle import held

_TCP = Setup(relay="tcp")
_UDP = Setup(relay="udp")
_ALL_ROUNDS = 1_000
_WARM_UP_S = 1.0
_GB = 1e9
_SESSIONS_QUICK = 1_000
_ECHO_BYTES = 64
_UNDER_WAY = 128
_MOST_LOST = 0.01
_OPENING_S = 30.0
_AS_IS = ("p50", "p99")
"""The figures of a client that are not counts."""


@dataclass(frozen=True)
class Bulk:
    """As many bytes as pass over some connections."""

    name: str
    title: str
    connections: int
    direction: str = "up"
    """`up`: clients send them; `down`: they receive them."""
    rounds: int = _ALL_ROUNDS

    def refuses(self, peer: Peer) -> str:
        """Returns why the peer cannot do it; empty if it can."""
        return peer.refuses(_TCP)

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """CPU for each GB, and how many passed in a second."""
        return {"": undisturbed(lambda: self._once(peer, context), context)}

    def _once(self, peer: Peer, context: Context) -> Metrics:
        with (
            running(peer, _TCP, context.backend_port) as one,
            steady("bulk", self.direction, str(self.connections), _where(one)) as client,
        ):

            def arrived() -> Metrics:
                there = _swallowed(context.backend_port)
                return {"bytes": client.so_far()["bytes"] + there}

            found = _window(one, client, context, arrived)
        size = found.pop("bytes")
        if not size:
            raise LoadError("no byte arrived")
        return found | {
            "s_per_gb": found["data_s"] / size * _GB,
            "machine_s_per_gb": found["machine_s"] / size * _GB,
            "gb_per_s": size / found["seconds"] / _GB,
            "gbit_per_s": size / found["seconds"] / _GB * 8,
        }


@dataclass(frozen=True)
class Datagrams:
    """Datagrams of some flows, and their answers."""

    name: str
    title: str
    flows: int
    rounds: int = _ALL_ROUNDS

    def refuses(self, peer: Peer) -> str:
        """Returns why the peer cannot do it; empty if it can."""
        return peer.refuses(_UDP)

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """CPU for each round trip, and how many there were in a second."""
        return {"": undisturbed(lambda: self._once(peer, context), context)}

    def _once(self, peer: Peer, context: Context) -> Metrics:
        numbers = (str(n) for n in (self.flows, _UNDER_WAY, _ECHO_BYTES))
        with (
            running(peer, _UDP, context.backend_port) as one,
            steady("datagrams", *numbers, _where(one)) as client,
        ):
            self._until_flows_are_open(client)
            found = _window(one, client, context, client.so_far)
        came, lost, wrong = (found.pop(key) for key in ("came", "lost", "wrong"))
        if wrong or not came or lost > _MOST_LOST * came:
            raise LoadError(f"{came:.0f} datagrams came back, {lost:.0f} lost, {wrong:.0f} wrong")
        us = found["data_s"] / came * 1e6
        return found | {
            "us": us,
            "datagram_us": us / 2,
            "machine_us": found["machine_s"] / came * 1e6,
            "rps": came / found["seconds"],
            "datagrams_per_cpu_s": 2 * came / max(1e-9, found["data_s"]),
            "lost": lost,
        }

    def _until_flows_are_open(self, client: Steady) -> None:
        """Twice around: what a flow costs at its beginning is not measured."""
        end = time.monotonic() + _OPENING_S
        while (came := client.so_far()["came"]) < 2 * self.flows:
            if time.monotonic() > end:
                raise LoadError(f"only {came:.0f} datagrams came back in {_OPENING_S:g} s")
            time.sleep(0.1)


@dataclass(frozen=True)
class Sessions:
    """Memory of sessions over TCP that had one exchange and are kept open."""

    name: str
    title: str
    rounds: int = 3

    def refuses(self, peer: Peer) -> str:
        """Returns why the peer cannot do it; empty if it can."""
        return peer.refuses(_TCP)

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """Bytes for each."""
        wait_until_quiet(1.0 if context.quick else 5.0)
        count = _SESSIONS_QUICK if context.quick else MOST
        with running(peer, _TCP, context.backend_port) as one:
            return {"": held(one, Load(connections=count, echo_bytes=_ECHO_BYTES))}


def _where(one: RunningPeer) -> str:
    return f"127.0.0.1:{one.place.http_port}"


def _swallowed(port: int) -> float:
    """Bytes that the upstream has received in bulk since its start (`layer4.h`)."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"\3")
        with connection.makefile("rb") as answer:
            return float(answer.read())


def _window(
    one: RunningPeer, client: Steady, context: Context, so_far: Callable[[], Metrics]
) -> Metrics:
    """A stretch of a client's run: what it counted in it, and what that took."""
    time.sleep(_WARM_UP_S)
    processes = one.look()
    before, start = so_far(), time.monotonic()
    window = Window(processes.data, processes.whole, [context.backend_pid, client.pid])
    time.sleep(context.seconds)
    found = window.close()
    after, end = so_far(), time.monotonic()
    counted = {key: value - before[key] for key, value in after.items() if key not in _AS_IS}
    latencies = {key: after[key] for key in _AS_IS if key in after}
    return found | counted | latencies | {"seconds": end - start}


BULK = (
    Bulk("l4-bulk-1", "TCP bulk, 1 connection", 1),
    Bulk("l4-bulk-16", "TCP bulk, 16 connections", 16),
    Bulk("l4-bulk-256", "TCP bulk, 256 connections", 256),
    Bulk("l4-down-16", "TCP bulk from the upstream, 16 connections", 16, "down"),
)
DATAGRAMS = (
    Datagrams("l4-udp", "UDP, 64 B and back, 1 flow, 128 under way", 1),
    Datagrams("l4-udp-10000", "UDP, 64 B and back, 10,000 flows, 128 under way", 10_000),
)
SESSIONS = Sessions("l4-sessions", "memory of an idle TCP session that had one exchange")
