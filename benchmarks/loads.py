"""The clients: wrk at saturation, our own open loop (`load.c`) at a fixed rate."""

import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from machine import LOAD_CPU
from peers.base import Setup
from running import RunningPeer, command_prefix
from workdir import HERE, WORK, client_environment, compile_go

_TARGETS = 1_000


class LoadError(Exception):
    """A client failed, or got what it should not get."""


@dataclass(frozen=True)
class Load:
    """The requests that clients make."""

    path: str = "/b/13"
    connections: int = 64
    body_bytes: int = 0
    close: bool = False
    """A connection of its own for each request."""
    tls: bool = False
    websocket: bool = False
    go: bool = False
    """By the client in Go, which has post-quantum key exchange; only new TLS connections."""
    streams: int = 0
    """Above 0: HTTP/2 with so many streams at a time on each connection (`h2load.py`)."""
    echo_bytes: int = 0
    """Above 0: no HTTP; a request is so many bytes (at most 16 KiB), and they are the answer."""
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with each request; by wrk alone, so not at half load."""
    grpc: bool = False
    """Each request is a unary call of gRPC; with `streams`."""


@dataclass(frozen=True)
class Figures:
    """The figures of clients; latencies in microseconds, zero where the client does not say."""

    requests: int
    seconds: float
    p50: float
    p99: float
    p999: float
    errors: dict[str, int]
    error: str = ""
    unsent: int = 0
    """Requests that were due and still waited for a connection at the end: it was too much."""
    late_p99: float = 0.0
    """The delay of the load's sending, with a connection free: its own part in the latencies."""
    counts: tuple[tuple[int, int], ...] = ()
    """Of the open loop: latencies and how often each was seen."""

    @property
    def failed(self) -> int:
        """Requests that failed in any way."""
        return sum(self.errors.values())


def saturate(peer: RunningPeer, load: Load, seconds: float) -> Figures:
    """As many requests as it takes, in a closed loop."""
    if load.go:
        return _go(peer, load, seconds)
    if load.websocket or load.echo_bytes:
        return _saturated_by_own(peer, load, seconds)
    port = peer.place.tls_port if load.tls else peer.place.http_port
    url = f"{'https' if load.tls else 'http'}://127.0.0.1:{port}{load.path}"
    listed = targets(peer.setup, load.path)
    wrk = ["wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s"]
    for name, value in load.headers:
        wrk += ["-H", f"{name}: {value}"]
    script = ["-s", str(HERE / "wrk.lua"), "--timeout", "10s", url, "--", str(listed or "-")]
    extra = [str(load.body_bytes), *(["close"] if load.close else [])]
    done = run([*wrk, *script, *extra], seconds)
    line = next((one for one in done.splitlines() if one.startswith("JSON ")), None)
    if line is None:
        raise LoadError(f"wrk says nothing: {done[-300:]}")
    document = json.loads(line[5:])
    return Figures(**{key: document[key] for key in _COMMON}, errors=document["errors"])


_COMMON = ("requests", "seconds", "p50", "p99", "p999")
_KINDS = ("connect", "tls", "reset", "short", "status")


def own_command(
    peer: RunningPeer, load: Load, seconds: float, rate: float, warm_up: float = 0.0
) -> list[str]:
    """The command of `load.c`; `warm_up`: seconds before, at the same rate and not counted."""
    port = peer.place.tls_port if load.tls else peer.place.http_port
    command = [str(WORK / "load"), "-c", str(load.connections), "-d", f"{seconds:g}"]
    command += [
        "-w",
        f"{warm_up:g}",
        "-r",
        f"{rate:.0f}",
        *(["-m", "ws"] if load.websocket else []),
        *(["-m", "echo"] if load.echo_bytes else []),
    ]
    command += ["-b", str(load.echo_bytes or load.body_bytes), *(["-k"] if load.close else [])]
    if load.tls:
        command += ["-t", "-g", peer.setup.tls_group.upper() or "X25519"]
    listed = targets(peer.setup, load.path)
    if listed is not None:
        command += ["-f", str(listed)]
    return [*command, f"127.0.0.1:{port}"]


def figures(text: str) -> Figures:
    """Parses the output of `load.c`."""
    try:
        document = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise LoadError(f"load says {text[-300:]!r}") from error
    common = {key: document[key] for key in _COMMON}
    errors = {key: document[key] for key in _KINDS}
    rest = {key: document[key] for key in ("error", "unsent", "late_p99")}
    counts = tuple((latency, count) for latency, count in document["counts"])
    return Figures(**common, errors=errors, **rest, counts=counts)


def pooled(seen: Sequence[Figures]) -> Figures:
    """Several runs of the open loop as one: quantiles of all of their requests."""
    counts: Counter[int] = Counter()
    errors: Counter[str] = Counter()
    for one in seen:
        counts.update(dict(one.counts))
        errors.update(one.errors)
    in_order = tuple(sorted(counts.items()))
    return Figures(
        requests=counts.total(),
        seconds=sum(one.seconds for one in seen),
        p50=quantile(in_order, 0.5),
        p99=quantile(in_order, 0.99),
        p999=quantile(in_order, 0.999),
        errors=dict(errors),
        error=next((one.error for one in seen if one.error), ""),
        unsent=sum(one.unsent for one in seen),
        late_p99=max((one.late_p99 for one in seen), default=0.0),
        counts=in_order,
    )


def quantile(counts: Sequence[tuple[int, int]], share: float) -> float:
    """The least latency that so large a share of requests did not exceed; 0 of none."""
    wanted = share * sum(count for _, count in counts)
    passed = 0
    for latency, count in counts:
        passed += count
        if passed >= wanted:
            return float(latency)
    return 0.0


def _saturated_by_own(peer: RunningPeer, load: Load, seconds: float) -> Figures:
    return figures(run(own_command(peer, load, seconds, 0), seconds))


def _go(peer: RunningPeer, load: Load, seconds: float) -> Figures:
    program = compile_go("pqload")
    if isinstance(program, str):
        raise LoadError(program)
    group = peer.setup.tls_group
    where = f"127.0.0.1:{peer.place.tls_port}"
    text = run([program, where, group, str(load.connections), f"{seconds:g}"], seconds)
    document = json.loads(text)
    return Figures(**{key: document[key] for key in _COMMON}, errors={"any": document["failed"]})


def run(command: Sequence[str | Path], seconds: float) -> str:
    """Returns the output of a client, which runs on the load's core. Raises LoadError."""
    done = subprocess.run(
        [*command_prefix(LOAD_CPU), *command],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
        env=client_environment(),
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
