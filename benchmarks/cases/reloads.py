"""Cases about change: how long until a new config is served, and what requests feel of it."""

import contextlib
import json
import re
import socket
import statistics
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from loads import Figures, Load, LoadError, pooled, saturate
from machine import LOAD_CPU, Window, cpu_s, pss_bytes, wait_until_quiet
from openloop import first_in_line, loaded
from peers.base import Peer, Setup
from peers.headgate import Headgate, ask, supervisor
from results import Metrics
from running import RunningPeer, command_prefix, running
from workdir import HERE

from cases.base import NOISE, Context, checked
from cases.half import WARM_UP_S

_HOSTS = 10_000
_APPLY_WITHIN_S = 60.0
_LOAD = Load()
_QUIET_S = 0.8
_RELOADS_S = 1.2
_MOST_QUIET = 30
"""Of 10,000 reloads only the first ones have quiet seconds beside them."""
_MANY = Setup("hosts", _HOSTS, version=1, reloads=True)


class Probe:
    """Asks again and again which config answers, on connections of its own."""

    def __init__(self, port: int, host: str) -> None:
        self._port = port
        self._request = f"GET /b/13 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()

    def version(self) -> int:
        """The answer's `x-v`; 0 if there was none or no answer."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._port), 5) as connection,
        ):
            connection.sendall(self._request)
            answer = b""
            while part := connection.recv(65536):
                answer += part
            found = re.search(rb"(?i)\r\nx-v: (\d+)", answer)
            return int(found[1]) if found else 0
        return 0

    def wait(self, version: int) -> None:
        """Returns with the first answer by that config. Raises LoadError."""
        end = time.monotonic() + _APPLY_WITHIN_S
        while self.version() != version:
            if time.monotonic() > end:
                raise LoadError(f"version {version} is not served within {_APPLY_WITHIN_S:g} s")


@dataclass(frozen=True)
class Apply:
    """10,000 hosts: all of them changed, and one."""

    name: str
    title: str
    rounds: int

    def refuses(self, peer: Peer) -> str:
        """Returns why the peer cannot do it; empty if it can."""
        return peer.refuses(_MANY)

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """`reload`: under half load, asked for → first answer; `plan`: handed over → served."""
        wait_until_quiet(1.0 if context.quick else 5.0)
        found: dict[str, Metrics] = {}
        with running(peer, _MANY, context.backend_port) as one:
            if isinstance(peer, Headgate):
                found |= _headgate_reloads(peer, one, "reload", context)
                found |= _plans(peer, one)
            else:
                found["reload-full"] = _peer_reload(one)
        if isinstance(peer, Headgate):
            with running(peer, replace(_MANY, unlike=True), context.backend_port) as one:
                found |= _headgate_reloads(peer, one, "unlike", context)
        return found


APPLY = Apply("apply", "a changed config of 10,000 hosts, until it is served", 5)


def _rate(one: RunningPeer) -> float:
    return saturate(one, _LOAD, 1.0).requests / 2


def _peer_reload(one: RunningPeer) -> Metrics:
    probe = Probe(one.place.http_port, "h0.example")
    probe.wait(1)
    with loaded(one, _LOAD, 30, _rate(one)):
        time.sleep(0.5)
        start = time.perf_counter()
        one.peer.reload(one.process.pid, replace(_MANY, version=2), one.place)
        probe.wait(2)
        took = time.perf_counter() - start
    return {"ms": took * 1000, "pss": float(pss_bytes(one.look().whole))}


def _headgate_reloads(
    peer: Headgate, one: RunningPeer, name: str, context: Context
) -> dict[str, Metrics]:
    probe = Probe(one.place.http_port, "h0.example")
    probe.wait(1)
    processes = one.look()  # the control process has started since: to the other core with it
    full: list[Metrics] = []
    first: list[Metrics] = []
    around = Window(processes.data, processes.whole, [context.backend_pid])
    with loaded(one, _LOAD, 40, _rate(one)):
        time.sleep(0.5)
        for version in (2, 3, 4):
            setup = replace(one.setup, version=version)
            full.append(_one_reload(peer, one, setup, probe, version))
            changed = replace(setup, first_version=version + 100)
            first.append(_one_reload(peer, one, changed, probe, version + 100))
    noisy = {"noisy": float(around.close()["foreign"] > NOISE)}
    return {f"{name}-full": _medians(full) | noisy, f"{name}-one": _medians(first) | noisy}


def _one_reload(
    peer: Headgate, one: RunningPeer, setup: Setup, probe: Probe, version: int
) -> Metrics:
    peer.command(setup, one.place)
    control = [pid for pid in one.processes.whole if pid not in one.processes.data]
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(_APPLY_WITHIN_S)
        door.connect(str(one.place.folder / "s" / "admin.sock"))
        start, used = time.perf_counter(), cpu_s(control)
        door.sendall(b"POST /reload HTTP/1.1\r\nHost: headgate\r\nConnection: close\r\n\r\n")
        probe.wait(version)
        took = time.perf_counter() - start
        with door.makefile("rb") as answer:
            document = json.loads(answer.read().partition(b"\r\n\r\n")[2])
    times = {key: float(document.get(key, 0)) for key in ("load_ms", "apply_ms")}
    times["control_ms"] = (cpu_s(control) - used) * 1000
    return {"ms": took * 1000, **times, "pss": float(pss_bytes(one.processes.data))}


def _plans(peer: Headgate, one: RunningPeer) -> dict[str, Metrics]:
    """The plan itself, straight to the data plane: all hosts, then one of them, three times."""
    names: list[str] = []
    for version in (5, 6, 7):
        for first in (0, version + 100):
            path = one.place.folder / f"plan-{version}-{first}.toml"
            setup = replace(_MANY, version=version, first_version=first)
            path.write_text(peer.config_text(setup, one.place))
            names.append(str(path))
    plane = supervisor(one.place.folder / "s").get("dataplane")
    grpc = plane["grpc_socket"] if isinstance(plane, dict) else ""
    # `-P` and our file by path: the package must be the installed one.
    command: list[str | Path] = [peer.python, "-P", HERE / "apply_plan.py", str(grpc), *names]
    done = subprocess.run(
        [*command_prefix(LOAD_CPU), *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LoadError(f"apply_plan: {done.stderr[-300:]}")
    steps = json.loads(done.stdout)
    for step in steps:
        step["ms"] = step["wall_us"] / 1000
    return {"plan-one": _medians(steps[0::2]), "plan-full": _medians(steps[1::2])}


def _medians(found: list[Metrics]) -> Metrics:
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


@dataclass(frozen=True)
class Reloads:
    """Reload after reload under half load; of headgate alone."""

    name: str
    title: str
    rounds: int
    count: int
    count_quick: int

    def refuses(self, peer: Peer) -> str:
        """Peers make new processes of it, which is another thing."""
        return "" if isinstance(peer, Headgate) else "measured for headgate alone"

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """Quiet seconds and seconds with reloads in turn, all of each kind together."""
        setup = Setup("hosts", 100, version=1, reloads=True)
        count = self.count_quick if context.quick else self.count
        wait_until_quiet(1.0 if context.quick else 5.0)
        with running(peer, setup, context.backend_port) as one:
            rate = _rate(one)
            quiet: list[Figures] = []
            seen: list[Figures] = []
            reloads = _Reloading(one, setup)
            processes = one.look()
            around = Window(processes.data, processes.whole, [context.backend_pid])
            # The data plane keeps normal scheduling: how its threads share a core is looked at too.
            with first_in_line(context.backend_pid) as first:
                quiet.append(_window(one, rate, _QUIET_S, first=first))
                before = pss_bytes(one.processes.data)
                while reloads.done < count:
                    with loaded(
                        one, _LOAD, _RELOADS_S, rate, warm_up=WARM_UP_S, first=first
                    ) as client:
                        reloads.go_on(WARM_UP_S + _RELOADS_S, count)
                        seen.append(checked(client.result()))
                    if len(quiet) < _MOST_QUIET:
                        quiet.append(_window(one, rate, _QUIET_S, first=first))
            foreign = around.close()["foreign"]
            time.sleep(1)
            rest = {
                "pss": float(pss_bytes(one.processes.data)),
                "pss_before": float(before),
                "half_first": float(first),
                "noisy": float(foreign > NOISE),
            }
        return {"": _summary(quiet, seen, reloads) | rest}


RELOADS = Reloads("reloads", "1,000 reloads (100 routes) under half load", 5, 1_000, 100)
RELOADS_LONG = Reloads("reloads-10000", "memory after 10,000 reloads", 1, 10_000, 300)


def _window(one: RunningPeer, rate: float, seconds: float, *, first: bool) -> Figures:
    with loaded(one, _LOAD, seconds, rate, warm_up=WARM_UP_S, first=first) as client:
        return checked(client.result())


class _Reloading:
    """Changes the config and has it reloaded, again and again."""

    def __init__(self, one: RunningPeer, setup: Setup) -> None:
        self._one = one
        self._setup = setup
        self.done = 0
        self.pss_at: dict[int, int] = {}

    def go_on(self, seconds: float, up_to: int) -> None:
        """Reloads for so long; raises LoadError when one is refused."""
        end = time.monotonic() + seconds
        state = self._one.place.folder / "s"
        while self.done < up_to and time.monotonic() < end:
            setup = replace(self._setup, version=2 + self.done % 7)
            self._one.peer.command(setup, self._one.place)
            result = ask(state, "POST", "/reload")
            if result.get("outcome") != "applied":
                raise LoadError(f"reload {self.done}: {result}")
            self.done += 1
            if self.done % 1_000 == 0:
                self.pss_at[self.done] = pss_bytes(self._one.processes.data)


def _summary(quiet: list[Figures], seen: list[Figures], reloads: _Reloading) -> Metrics:
    before, during = pooled(quiet), pooled(seen)
    found: Metrics = {
        "reloads": float(reloads.done),
        "requests": float(during.requests),
        "failed": float(during.failed),
        "resets": float(during.errors["reset"] + during.errors["short"]),
        "quiet_p50": before.p50,
        "quiet_p99": before.p99,
        "quiet_p999": before.p999,
        "p50": during.p50,
        "p99": during.p99,
        "p999": during.p999,
        "p99_ratio": during.p99 / max(1, before.p99),
    }
    return found | {f"pss_{count}": float(pss) for count, pss in reloads.pss_at.items()}
