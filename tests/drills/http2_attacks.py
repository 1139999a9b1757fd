"""Attacks on HTTP/2, counted at the backend: `python tests/drills/http2_attacks.py`.

Each attack of the list runs against a node of its own until the attacker has made `--count`
attempts, 100,000 if nothing else is said, fewer where each takes long. The backend counts how many
requests it works on at once. The table says what an attempt cost the data plane, how the memory
grew, which reasons were counted, and what another client felt.

For that the attempts are made in `--rounds`, each of at least `--seconds` and after a calm time of
the same length. The data plane has one core and everything else another one, where the attacker
and its backend run only while nothing else wants to (SCHED_IDLE, sched(7)). The other client's
requests go to a backend of their own, and only the time counts in which neither of the two had the
core or waited for it: the node's. The ratio is that of the p99 of this time in the attack to that
in the calm before; the table has the median of the rounds, the least and the greatest, and a
median above `--bar` is a fault. `--bar 0` measures nothing of this. The rounds of all attacks take
eight minutes; the machine must have nothing else to do (`nice -n -15` keeps little things at bay).
"""

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from drill_parts import Endpoint
from http2_attack_list import ATTACKS, Attack
from http2_attacker import Attacker
from http2_bystander import Bystander, Window, p99
from http2_victims import Backend
from ports import free_port
from running_node import RunningNode
from waiting import until

STREAMS = 100
"""Requests of one connection that a node lets an upstream work on at once."""
_FEW = 500
"""Fewer attempts need not be counted by reason."""
_SETTLE_S = 0.2
"""After an attack, before the next calm time."""
_MEMORY_KIB = 160 * 1024
"""How much the data plane may grow at its peak: a worker endures 128 MiB of answers that nobody
takes (`WORKER_ENDURES` in worker/http2/mod.rs)."""
_TICKS = 100
"""Clock ticks in a second, of the kernel's accounts."""


@dataclass(frozen=True)
class Options:
    """How each attack is run."""

    count: int
    rounds: int
    seconds: float
    bar: float

    @property
    def is_measured(self) -> bool:
        """Whether what another client feels is measured."""
        return self.bar > 0


@dataclass(frozen=True)
class Felt:
    """The p99 of what another client felt of the node in a round, seconds: before the attack and
    in it."""

    calm_s: float
    attacked_s: float

    @property
    def ratio(self) -> float:
        """How many times longer it was."""
        return self.attacked_s / self.calm_s


@dataclass(frozen=True)
class Outcome:
    """What one attack did."""

    name: str
    attempts: int
    connections: int
    at_once: int
    cpu_us: float
    cpu_share: float
    felt: list[Felt]
    grown_kib: int
    reasons: dict[str, int]

    def faults(self, wanted: tuple[str, ...], bar: float) -> list[str]:
        """What did not hold."""
        found = []
        if self.at_once > STREAMS:
            found.append(f"{self.at_once} requests at once in the backend")
        if self.grown_kib > _MEMORY_KIB:
            found.append(f"the memory grew by {self.grown_kib} KiB")
        if self.felt and self.ratio > bar:
            found.append(f"the p99 of another client was {self.ratio:.2f} times as long")
        if self.attempts < _FEW:
            return found  # too few for the counters of what only many make
        if wanted and not any(self.reasons.get(one) for one in wanted):
            found.append(f"no count of {' or '.join(wanted)}: {self.reasons}")
        return found

    @property
    def ratio(self) -> float:
        """The median of the rounds."""
        return statistics.median(one.ratio for one in self.felt)

    def said(self) -> str:
        """What another client felt, as two cells of the table."""
        if not self.felt:
            return "- | -"
        ratios = [one.ratio for one in self.felt]
        calm, attacked = (
            statistics.median(times) * 1000
            for times in ([f.calm_s for f in self.felt], [f.attacked_s for f in self.felt])
        )
        spread = f"{self.ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        return f"{calm:.2f} ms, {attacked:.2f} ms | {spread}"


def main() -> int:
    """Runs the drill; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.2, help="of a calm time, of an attack")
    parser.add_argument("--bar", type=float, default=2.0, help="times the p99 of another client")
    names = [one.name for one in ATTACKS]
    parser.add_argument("--only", nargs="*", choices=names, help="attacks; all without it")
    given = parser.parse_args()
    options = Options(given.count, given.rounds, given.seconds, given.bar)
    chosen = [one for one in ATTACKS if not given.only or one.name in given.only]
    cores = _cores(options)
    sys.stdout.write(_HEAD)
    bad = 0
    for one in chosen:
        outcome = play(one, options, cores)
        faults = outcome.faults(one.reasons, options.bar)
        bad += bool(faults)
        sys.stdout.write(row(one, outcome))
        for fault in faults:
            sys.stdout.write(f"**{one.name}: {fault}**\n")
        sys.stdout.flush()
    return int(bad > 0)


def _cores(options: Options) -> tuple[int, ...]:
    """The core of the data plane; we, and what we start, have another one. Empty = no matter."""
    if not options.is_measured:
        return ()
    mine = sorted(os.sched_getaffinity(0))
    assert len(mine) > 1, "it takes two cores to tell the node from the attacker; see --bar"
    os.sched_setaffinity(0, mine[1:2])
    return (mine[0],)


_HEAD = (
    "| attack | attempts | connections | at once in the backend | CPU for each | CPU share | other "
    "client's p99 before, during | ratio | memory | counted |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)


def row(one: Attack, it: Outcome) -> str:
    """A line of the table."""
    counted = ", ".join(f"`{name}` {n:,}" for name, n in sorted(it.reasons.items()))
    return (
        f"| {one.text} | {it.attempts:,} | {it.connections:,} | {it.at_once} | "
        f"{it.cpu_us:.1f} µs | {it.cpu_share:.0%} | {it.said()} | "
        f"{it.grown_kib / 1024:+.1f} MiB | {counted or '-'} |\n"
    )


def play(one: Attack, options: Options, cores: tuple[int, ...]) -> Outcome:
    """Runs one attack against a node of its own."""
    port = free_port()
    yields = options.is_measured
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hg-")))
        backend = stack.enter_context(Backend(yields=yields))
        other = Endpoint()
        stack.callback(other.kill)
        config = _config(port, backend.address, other.address)
        node = stack.enter_context(RunningNode(folder, config).until_ready())
        if cores:
            _pin(node.data_plane()[1], cores)
        attacker = stack.enter_context(Attacker(one, port, yields=yields))
        return _measured(node, backend, (one, attacker, Bystander(port, other.pid)), options)


def _measured(
    node: RunningNode,
    backend: Backend,
    people: tuple[Attack, Attacker, Bystander],
    options: Options,
) -> Outcome:
    one, attacker, other = people
    pid, before = node.data_plane()[1], _reasons(node)
    memory, windows = _kib(pid, "VmRSS"), []
    attempts = connections = 0
    took = used = 0.0
    with other:
        for _ in range(options.rounds):
            calm = _calm(options)
            cpu, began = _cpu_s(pid), time.monotonic()
            done = attacker.attack(options.count // one.share // options.rounds, options.seconds)
            windows.append((calm, Window(began, time.monotonic())))
            took, used = took + time.monotonic() - began, used + _cpu_s(pid) - cpu
            attempts, connections = attempts + done[0], connections + done[1]
        asked = other.end()
    felt = [Felt(p99(asked, calm), p99(asked, attacked)) for calm, attacked in windows]
    after = _reasons(node)
    until(lambda: backend.working() == 0, "the end of the attack's work")
    return Outcome(
        name=one.name,
        attempts=attempts,
        connections=connections,
        at_once=backend.most(),
        cpu_us=used * 1e6 / max(attempts, 1),
        cpu_share=used / max(took, 0.001),
        felt=felt if options.is_measured else [],
        grown_kib=_kib(pid, "VmHWM") - memory,
        reasons={k: int(v - before.get(k, 0)) for k, v in after.items() if v > before.get(k, 0)},
    )


def _calm(options: Options) -> Window:
    """Lets a calm time pass, if there is anything to measure in it."""
    if not options.is_measured:
        return Window(0.0, 0.0)
    time.sleep(_SETTLE_S)
    began = time.monotonic()
    time.sleep(options.seconds)
    return Window(began, time.monotonic())


def _pin(pid: int, cores: tuple[int, ...]) -> None:
    """Has each thread of a process run on these cores only."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), cores)


def _config(port: int, upstream: str, other: str) -> str:
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

[routes.other]
hosts = ["*"]
match = [{{ path = {{ prefix = "/other" }} }}]
upstream = "other"

[upstreams.app]
endpoints = ["{upstream}"]

[upstreams.other]
endpoints = ["{other}"]
"""


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
