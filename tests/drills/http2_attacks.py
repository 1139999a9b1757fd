"""Attacks on HTTP/2, counted at the backend: `python tests/drills/http2_attacks.py`.

Each attack of the list runs against a node of its own until the attacker has made `--count`
attempts, 100,000 if nothing else is said; where the node ends a connection, the attacker opens the
next. The backend counts how many requests it works on at once. The table says what an attempt cost
the data plane, what another client felt, how the memory grew, and which reasons were counted.
"""

import argparse
import re
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from http2_attacker import ATTACKS, Attack, attack
from http2_victims import Backend, Bystander
from ports import free_port
from running_node import RunningNode
from waiting import until

STREAMS = 100
"""Requests of one connection that a node lets an upstream work on at once."""
_FEW = 500
"""Fewer attempts need not be counted by reason."""
_CALM = 400
"""Most requests of another client before the attack."""
_MEMORY_KIB = 96 * 1024
"""How much the data plane may grow at its peak."""
_TICKS = 100
"""Clock ticks in a second, of the kernel's accounts."""


@dataclass(frozen=True)
class Outcome:
    """What one attack did."""

    name: str
    attempts: int
    connections: int
    at_once: int
    cpu_us: float
    cpu_share: float
    calm_ms: float
    attacked_ms: float
    grown_kib: int
    reasons: dict[str, int]

    def faults(self, wanted: tuple[str, ...]) -> list[str]:
        """What did not hold."""
        found = []
        if self.at_once > STREAMS:
            found.append(f"{self.at_once} requests at once in the backend")
        if self.grown_kib > _MEMORY_KIB:
            found.append(f"the memory grew by {self.grown_kib} KiB")
        if self.attempts < _FEW:
            return found  # too few for the counters of what only many make
        if wanted and not any(self.reasons.get(one) for one in wanted):
            found.append(f"no count of {' or '.join(wanted)}: {self.reasons}")
        return found


def main() -> int:
    """Runs the drill; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    names = [one.name for one in ATTACKS]
    parser.add_argument("--only", nargs="*", choices=names, help="attacks; all without it")
    options = parser.parse_args()
    chosen = [one for one in ATTACKS if not options.only or one.name in options.only]
    sys.stdout.write(_HEAD)
    bad = 0
    for one in chosen:
        outcome = play(one, options.count)
        faults = outcome.faults(one.reasons)
        bad += bool(faults)
        sys.stdout.write(row(one, outcome))
        for fault in faults:
            sys.stdout.write(f"**{one.name}: {fault}**\n")
        sys.stdout.flush()
    return int(bad > 0)


_HEAD = (
    "| attack | attempts | connections | at once in the backend | CPU for each | CPU share | other "
    "client's p99 before, during | memory | counted |\n|---|---|---|---|---|---|---|---|---|\n"
)


def row(one: Attack, it: Outcome) -> str:
    """A line of the table."""
    counted = ", ".join(f"`{name}` {n:,}" for name, n in sorted(it.reasons.items()))
    return (
        f"| {one.text} | {it.attempts:,} | {it.connections:,} | {it.at_once} | "
        f"{it.cpu_us:.1f} µs | {it.cpu_share:.0%} | {it.calm_ms:.1f} ms, {it.attacked_ms:.1f} ms | "
        f"{it.grown_kib / 1024:+.1f} MiB | {counted or '-'} |\n"
    )


def play(one: Attack, count: int) -> Outcome:
    """Runs one attack against a node of its own."""
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="hg-") as folder,
        Backend() as backend,
        RunningNode(Path(folder), _config(port, backend.address)).until_ready() as node,
    ):
        return _measured(node, backend, one, port, count)


def _measured(node: RunningNode, backend: Backend, one: Attack, port: int, count: int) -> Outcome:
    pid = node.data_plane()[1]
    with Bystander(port) as other:
        # Few attempts compare nothing.
        enough = min(_CALM, count // 20)
        until(lambda: other.count() > enough, "a calm time to compare with")
        calm = other.taken()
        memory, cpu, began = _kib(pid, "VmRSS"), _cpu_s(pid), time.monotonic()
        before = _reasons(node)
        attempts, connections = attack(one, port, count)
        took, used = time.monotonic() - began, _cpu_s(pid) - cpu
        attacked = other.taken()
        after = _reasons(node)
    until(lambda: backend.working() == 0, "the end of the attack's work")
    return Outcome(
        name=one.name,
        attempts=attempts,
        connections=connections,
        at_once=backend.most(),
        cpu_us=used * 1e6 / max(attempts, 1),
        cpu_share=used / max(took, 0.001),
        calm_ms=_p99(calm),
        attacked_ms=_p99(attacked),
        grown_kib=_kib(pid, "VmHWM") - memory,
        reasons={k: int(v - before.get(k, 0)) for k, v in after.items() if v > before.get(k, 0)},
    )


def _config(port: int, upstream: str) -> str:
    return f"""
[node]
admin = "off"
workers = 1

[listeners.web]
address = "127.0.0.1:{port}"
protocol = "http"
default = true
h2c = true

[routes.all]
hosts = ["*"]
upstream = "app"
timeouts = {{ request = "30s", stream_idle = "5s" }}

[upstreams.app]
endpoints = ["{upstream}"]
"""


def _p99(times: list[float]) -> float:
    if len(times) < 2:
        return 0.0
    return statistics.quantiles(times, n=100)[98] * 1000


def _kib(pid: int, what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found else 0


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _reasons(node: RunningNode) -> dict[str, float]:
    page = node.admin("GET", "/metrics")[1].decode()
    found = re.findall(r'(?m)^headgate_http2_closed_total\{reason="([^"]+)"\} (\S+)$', page)
    return {name: float(value) for name, value in found}


if __name__ == "__main__":
    sys.exit(main())
