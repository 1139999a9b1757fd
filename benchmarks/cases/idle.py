"""Memory: of an idle data plane, with active connections, for each idle connection."""

import subprocess
import time
from dataclasses import dataclass, replace

from loads import Load, LoadError, figures, own_command
from machine import LOAD_CPU, cpu_s, pss_bytes, wait_until_quiet
from peers.base import Peer, Setup
from results import Metrics
from running import RunningPeer, command_prefix, running

from cases.base import Context, checked

_IDLE = 9_000
_IDLE_QUICK = 1_000
_ACTIVE = 1_000
_ACTIVE_RATE = 5_000
_SETTLE_S = 1.0
_SETUP = Setup(tls_group="x25519")


@dataclass(frozen=True)
class Idle:
    """The case."""

    name: str
    title: str
    rounds: int

    def refuses(self, peer: Peer) -> str:
        """Returns why the peer cannot do it; empty if it can."""
        return peer.refuses(_SETUP)

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """Idle, active, then idle connections, plain and TLS."""
        wait_until_quiet(1.0 if context.quick else 5.0)
        count = _IDLE_QUICK if context.quick else _IDLE
        found: dict[str, Metrics] = {}
        with running(peer, _SETUP, context.backend_port) as one:
            time.sleep(_SETTLE_S)
            found["idle"] = _memory(one)
            found["active"] = _active(one)
        for name, load in (
            ("plain", Load(connections=count)),
            ("tls", Load(connections=count, tls=True)),
        ):
            with running(peer, _SETUP, context.backend_port) as one:
                found[name] = held(one, load)
        return found


IDLE = Idle("memory", "memory idle, with 1,000 active connections, per idle connection", 3)


def _memory(one: RunningPeer) -> Metrics:
    processes = one.look()
    return {
        "pss": float(pss_bytes(processes.data)),
        "tree_pss": float(pss_bytes(processes.whole)),
    }


def _active(one: RunningPeer) -> Metrics:
    """The most it takes while 1,000 connections are in turn busy."""
    load = Load(connections=_ACTIVE)
    command = [*command_prefix(LOAD_CPU), *own_command(one, load, 3, _ACTIVE_RATE)]
    most: Metrics = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        for _ in range(4):
            time.sleep(0.6)
            now = _memory(one)
            most = now if not most or now["pss"] > most["pss"] else most
        text, _ = client.communicate(timeout=60)
    checked(figures(text))
    return most


def held(one: RunningPeer, load: Load) -> Metrics:
    """Bytes for each connection that had one request and is kept open."""
    # One connection first, so that what is made once for all is not counted.
    warm = [
        *command_prefix(LOAD_CPU),
        *own_command(one, replace(load, connections=8), 0.5, 100),
    ]
    subprocess.run(warm, capture_output=True, check=True)
    time.sleep(_SETTLE_S)
    before = _memory(one)
    command = own_command(one, load, 1, 0)
    command.insert(1, "-H")
    with subprocess.Popen(
        [*command_prefix(LOAD_CPU), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        if client.stdout is None:
            raise LoadError("no output")
        kept = int(client.stdout.readline().removeprefix("held "))
        time.sleep(_SETTLE_S * 2)
        after = _memory(one)
        used = cpu_s(one.processes.data)
        time.sleep(_SETTLE_S)
        used = cpu_s(one.processes.data) - used
        client.communicate("", timeout=60)
    if kept < load.connections:
        raise LoadError(f"only {kept} of {load.connections} connections were kept")
    return {
        "bytes": (after["pss"] - before["pss"]) / kept,
        "connections": float(kept),
        "idle_cpu": used / _SETTLE_S,
    }
