"""The clients: wrk at saturation, our own open loop (`load.c`) at a fixed rate."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from machine import LOAD_CPU
from peers.base import Setup
from running import RunningPeer, command_prefix
from workdir import HERE, WORK, compile_go

_TARGETS = 1_000


class LoadError(Exception):
    """A client failed, or got what it should not get."""


@dataclass(frozen=True)
class Load:
    """What clients ask for."""

    path: str = "/b/13"
    connections: int = 64
    body_bytes: int = 0
    close: bool = False
    """A connection of its own for each request."""
    tls: bool = False
    websocket: bool = False
    go: bool = False
    """By the client in Go, which has post-quantum key exchange; only new TLS connections."""


@dataclass(frozen=True)
class Figures:
    """What clients saw; latencies in microseconds, p99.9 zero where it is not known."""

    requests: int
    seconds: float
    p50: float
    p99: float
    p999: float
    errors: dict[str, int]
    error: str = ""
    unsent: int = 0
    """Requests that were due and still waited for a connection at the end: it was too much."""

    @property
    def failed(self) -> int:
        """Requests that failed in any way."""
        return sum(self.errors.values())


def saturate(peer: RunningPeer, load: Load, seconds: float) -> Figures:
    """As many requests as it takes, in a closed loop."""
    if load.go:
        return _go(peer, load, seconds)
    if load.websocket:
        return _own(peer, load, seconds, 0)
    port = peer.place.tls_port if load.tls else peer.place.http_port
    url = f"{'https' if load.tls else 'http'}://127.0.0.1:{port}{load.path}"
    listed = targets(peer.setup, load.path)
    wrk = ["wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s"]
    script = ["-s", str(HERE / "wrk.lua"), "--timeout", "10s", url, "--", str(listed or "-")]
    extra = [str(load.body_bytes), *(["close"] if load.close else [])]
    done = _run([*wrk, *script, *extra], seconds)
    line = next((one for one in done.splitlines() if one.startswith("JSON ")), None)
    if line is None:
        raise LoadError(f"wrk says nothing: {done[-300:]}")
    document = json.loads(line[5:])
    return Figures(**{key: document[key] for key in _COMMON}, errors=document["errors"])


_COMMON = ("requests", "seconds", "p50", "p99", "p999")
_KINDS = ("connect", "tls", "reset", "short", "status")


def at_rate(peer: RunningPeer, load: Load, seconds: float, rate: float) -> Figures:
    """So many requests a second, due at times set beforehand: nothing is left out."""
    return _own(peer, load, seconds, rate)


def own_command(peer: RunningPeer, load: Load, seconds: float, rate: float) -> list[str]:
    """The command of `load.c`."""
    port = peer.place.tls_port if load.tls else peer.place.http_port
    command = [str(WORK / "load"), "-c", str(load.connections), "-d", f"{seconds:g}"]
    command += ["-r", f"{rate:.0f}", *(["-m", "ws"] if load.websocket else [])]
    command += ["-b", str(load.body_bytes), *(["-k"] if load.close else [])]
    if load.tls:
        command += ["-t", "-g", peer.setup.tls_group.upper() or "X25519"]
    listed = targets(peer.setup, load.path)
    if listed is not None:
        command += ["-f", str(listed)]
    return [*command, f"127.0.0.1:{port}"]


def figures(text: str) -> Figures:
    """What `load.c` printed."""
    try:
        document = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise LoadError(f"load says {text[-300:]!r}") from error
    common = {key: document[key] for key in _COMMON}
    errors = {key: document[key] for key in _KINDS}
    return Figures(**common, errors=errors, error=document["error"], unsent=document["unsent"])


def _own(peer: RunningPeer, load: Load, seconds: float, rate: float) -> Figures:
    return figures(_run(own_command(peer, load, seconds, rate), seconds))


def _go(peer: RunningPeer, load: Load, seconds: float) -> Figures:
    program = compile_go("pqload")
    if isinstance(program, str):
        raise LoadError(program)
    group = peer.setup.tls_group
    where = f"127.0.0.1:{peer.place.tls_port}"
    text = _run([program, where, group, str(load.connections), f"{seconds:g}"], seconds)
    document = json.loads(text)
    return Figures(**{key: document[key] for key in _COMMON}, errors={"any": document["failed"]})


def _run(command: Sequence[str | Path], seconds: float) -> str:
    done = subprocess.run(
        [*command_prefix(LOAD_CPU), *command],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    if done.returncode:
        raise LoadError(f"{command[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout


def targets(setup: Setup, path: str) -> Path | None:
    """A file of `HOST PATH` lines spread over all routes; None where one line would do."""
    if setup.kind == "plain":
        if path == "/b/13":
            return None
        file = WORK / f"targets-plain{path.replace('/', '-')}"
        file.write_text(" ".join(setup.target(0, path)) + "\n")
        return file
    file = WORK / f"targets-{setup.kind}-{setup.count}"
    picks = ((i * 7919 + 13) % setup.count for i in range(_TARGETS))
    file.write_text("".join(" ".join(setup.target(i, path)) + "\n" for i in picks))
    return file
