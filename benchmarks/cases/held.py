"""Memory of connections over HTTP/2: idle ones, and ones whose client takes none of its answers."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from loads import LoadError
from machine import LOAD_CPU, pss_bytes, wait_until_quiet
from peers.base import Peer, Setup
from peers.caddy import Caddy
from peers.headgate import Headgate
from results import Metrics
from running import RunningPeer, command_prefix, running
from workdir import HERE, client_environment

from cases.base import Context

STREAMS = 100
"""Of each connection whose client takes nothing."""
_IDLE = 4_000
_IDLE_QUICK = 500
_STALLED = 4
_STALLED_MANY = 64
_SETTLE_S = 4.0
"""Longer than headgate keeps the memory of streams that are gone, which is 2 s."""
_SETUP = Setup(tls_group="x25519", http2=True)
_LARGE = ("--stall", str(STREAMS), "--path", "/b/1048576")


@dataclass(frozen=True)
class Held:
    """The case."""

    name: str
    title: str
    rounds: int

    def refuses(self, peer: Peer) -> str:
        """Returns why the peer cannot do it; empty if it can."""
        if isinstance(peer, Caddy):
            return "its listener for HTTP/2 takes no HTTP/1.1, to which this is compared"
        return peer.refuses(_SETUP)

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """Bytes for each connection: `tls` = HTTP/1.1, `h2`, both over TLS, `h2c`, `stalled`."""
        wait_until_quiet(1.0 if context.quick else 5.0)
        idle = _IDLE_QUICK if context.quick else _IDLE
        jobs = [
            ("tls", idle, ("--tls", "--http1")),
            ("h2", idle, ("--tls",)),
            ("h2c", idle, ()),
            ("stalled", _STALLED, _LARGE),
        ]
        if isinstance(peer, Headgate):  # nginx would take some gigabytes with its buffers
            jobs.append(("stalled-many", _STALLED_MANY, _LARGE))
        found: dict[str, Metrics] = {}
        for name, count, options in jobs:
            with running(peer, _SETUP, context.backend_port) as one:
                found[name] = _memory(one, count, options)
        return found


HELD = Held(
    "memory-h2", "memory of a connection over HTTP/2: idle, and with 100 stalled streams", 3
)


def _memory(one: RunningPeer, count: int, options: tuple[str, ...]) -> Metrics:
    """Returns the memory that so many connections take, after one was there and is gone: some is
    made once for all."""
    with _holding(one, 1, options):
        pass
    time.sleep(_SETTLE_S)
    before = pss_bytes(one.look().data)
    with _holding(one, count, options):
        time.sleep(_SETTLE_S)
        more = pss_bytes(one.look().data) - before
    return {"bytes": more / count, "pss": float(more), "connections": float(count)}


@contextmanager
def _holding(one: RunningPeer, count: int, options: tuple[str, ...]) -> Iterator[None]:
    port = one.place.tls_port if "--tls" in options else one.place.http_port
    command = [sys.executable, str(HERE / "h2hold.py"), str(port), str(count), *options]
    with subprocess.Popen(
        [*command_prefix(LOAD_CPU), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=client_environment(),
    ) as client:
        try:
            line = client.stdout.readline() if client.stdout else ""
            if line != f"held {count}\n":
                client.kill()
                raise LoadError(f"h2hold: {client.communicate()[1].strip()[-300:]}")
            yield
        finally:
            if client.poll() is None:
                client.communicate("")
