"""Cases about requests: CPU of the data plane for each, latency at saturation and at half load."""

from collections.abc import Sequence
from dataclasses import dataclass

import h2load
from loads import Figures, Load, LoadError, saturate
from machine import Window, peak_rss_bytes, pss_bytes
from peers.base import Peer, Setup
from peers.headgate import Headgate
from results import Metrics
from running import RunningPeer, running

from cases.base import Context, checked, undisturbed
from cases.besides import besides
from cases.half import HalfLoads, half_loads

_ALL_ROUNDS = 1_000


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
    """Also latencies at half load, of the only variant."""
    rounds: int = _ALL_ROUNDS
    alone: bool = False
    """True if its variants are headgate's own, which no peer has."""
    partly: bool = False
    """True if a peer does the variants that it can, and not all or none."""

    def refuses(self, peer: Peer) -> str:
        """Returns why the peer cannot do it; empty if it can."""
        if self.alone and not isinstance(peer, Headgate):
            return "headgate's variants are compared with each other"
        reasons = [peer.refuses(variant.setup) for variant in self.variants]
        if self.partly and "" in reasons:
            return ""
        return next((reason for reason in reasons if reason), "")

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """All variants one after the other, each by a process of its own."""
        able = [v for v in self.variants if not peer.refuses(v.setup)]
        return {v.name: self._variant(peer, v, context) for v in able}

    def half_loads(self, peers: Sequence[Peer], context: Context) -> HalfLoads:
        """All peers at half of what the first one did in the first round."""
        (variant,) = self.variants
        rate = context.journal.half_rate(self.name, variant.name)
        if not rate:
            raise LoadError("no peer was measured at saturation, so half load is not known")
        return half_loads(peers, variant.setup, variant.load, rate, context)

    def _variant(self, peer: Peer, variant: Variant, context: Context) -> Metrics:
        def run() -> Metrics:
            with running(peer, variant.setup, context.backend_port) as one:
                return self._run(one, variant, context)

        return undisturbed(run, context)

    def _run(self, one: RunningPeer, variant: Variant, context: Context) -> Metrics:
        if variant.load.grpc:
            h2load.check_call(one, variant.load)
        _saturate(one, variant.load, 1.0)
        one.look()
        window = Window(one.processes.data, one.processes.whole, [context.backend_pid, *one.beside])
        seen = _saturate(one, variant.load, context.seconds)
        found = window.close()
        checked(seen)
        found |= {
            "us": found["data_s"] / max(1, seen.requests) * 1e6,
            "tree_us": found["tree_s"] / max(1, seen.requests) * 1e6,
            "machine_us": found["machine_s"] / max(1, seen.requests) * 1e6,
            "rps": seen.requests / seen.seconds,
            "failed": float(seen.failed),
        }
        latencies = {"p50": seen.p50, "p99": seen.p99, "p999": seen.p999}
        found |= {key: latency for key, latency in latencies.items() if latency}
        found["pss"] = float(pss_bytes(one.processes.data))
        found["tree_pss"] = float(pss_bytes(one.processes.whole))
        found["peak"] = float(peak_rss_bytes(one.processes.data))
        return found | besides(one, variant.load)


def _saturate(one: RunningPeer, load: Load, seconds: float) -> Figures:
    client = h2load.saturate if load.streams else saturate
    return client(one, load, seconds)
