"""Cases about requests: CPU of the data plane for each, latency at saturation and at half load."""

import subprocess
import time
from dataclasses import dataclass

from loads import Figures, Load, LoadError, figures, own_command, saturate
from machine import LOAD_CPU, Window, peak_rss_bytes, pss_bytes, wait_until_quiet
from peers.base import Peer, Setup
from peers.headgate import Headgate, metric
from results import Metrics
from running import RunningPeer, command_prefix, running

from cases.base import NOISE, Context

_ALL_ROUNDS = 1_000
_ATTEMPTS = 2
_TOLERATED = 0.001
_HALF_LOAD_LONGER = 2


@dataclass(frozen=True)
class Variant:
    """One job and one kind of load; a case compares its variants in the same round."""

    name: str
    setup: Setup
    load: Load


@dataclass(frozen=True)
class Traffic:
    """A case about requests."""

    name: str
    title: str
    variants: tuple[Variant, ...]
    half_load: bool = True
    rounds: int = _ALL_ROUNDS

    def refuses(self, peer: Peer) -> str:
        """What the peer cannot do of it."""
        reasons = (peer.refuses(variant.setup) for variant in self.variants)
        return next((reason for reason in reasons if reason), "")

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """All variants one after the other, each by a process of its own."""
        return {v.name: self._variant(peer, v, context) for v in self.variants}

    def _variant(self, peer: Peer, variant: Variant, context: Context) -> Metrics:
        found: Metrics = {}
        for attempt in range(_ATTEMPTS):
            wait_until_quiet(1.0 if context.quick else 5.0)
            try:
                with running(peer, variant.setup, context.backend_port) as one:
                    found = self._run(one, variant, context)
            except LoadError:
                if found or attempt < _ATTEMPTS - 1:
                    continue  # a noisy run is better than none, a second attempt than giving up
                raise
            if found["foreign"] <= NOISE:
                break
        found["noisy"] = float(found["foreign"] > NOISE)
        return found

    def _run(self, one: RunningPeer, variant: Variant, context: Context) -> Metrics:
        saturate(one, variant.load, 1.0)
        one.look()
        window = Window(one.processes.data, one.processes.whole, [context.backend_pid])
        seen = saturate(one, variant.load, context.seconds)
        found = window.close()
        checked(seen)
        found |= {
            "us": found["data_s"] / max(1, seen.requests) * 1e6,
            "tree_us": found["tree_s"] / max(1, seen.requests) * 1e6,
            "rps": seen.requests / seen.seconds,
            "p50": seen.p50,
            "p99": seen.p99,
            "p999": seen.p999,
            "failed": float(seen.failed),
        }
        if self.half_load and not variant.load.go:
            rate = context.journal.rate(self.name, variant.name) or round(found["rps"] / 2)
            found |= half_load(one, variant.load, context.seconds * _HALF_LOAD_LONGER, rate)
        found["pss"] = float(pss_bytes(one.processes.data))
        found["tree_pss"] = float(pss_bytes(one.processes.whole))
        found["peak"] = float(peak_rss_bytes(one.processes.data))
        if variant.setup.access_log:
            found["log_bytes"] = float(one.place.access_log.stat().st_size)
            if isinstance(one.peer, Headgate):
                found["dropped"] = metric(
                    one.place.folder / "s", "headgate_access_log_dropped_total"
                )
        return found


def checked(seen: Figures) -> Figures:
    """The figures; raises LoadError when more than one request of 1,000 failed."""
    if seen.requests == 0 or seen.failed > _TOLERATED * seen.requests:
        raise LoadError(f"{seen.requests} requests, failed: {seen.errors} {seen.error}")
    return seen


def half_load(one: RunningPeer, load: Load, seconds: float, rate: float) -> Metrics:
    """Latencies at a fixed rate; memory in the midst of it."""
    command = [*command_prefix(LOAD_CPU), *own_command(one, load, seconds, rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        time.sleep(seconds * 0.6)
        pss = pss_bytes(one.processes.data)
        text, _ = client.communicate(timeout=60)
    seen = checked(figures(text))
    return {
        "rate": float(rate),
        "half_rps": seen.requests / seen.seconds,
        "half_p50": seen.p50,
        "half_p99": seen.p99,
        "half_p999": seen.p999,
        "half_failed": float(seen.failed),
        "half_unsent": float(seen.unsent),
        "half_pss": float(pss),
    }
