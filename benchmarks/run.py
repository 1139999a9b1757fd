"""Measures headgate beside its peers: interleaved rounds, fresh processes, pinned to cores.

    make bench                        every case, five rounds, report under benchmarks/results/
    make bench CASE=h1-13,tls-13 ROUNDS=3
    python benchmarks/run.py --quick --headgate .venv/bin/headgate --peers nginx,headgate

What was measured is kept in benchmarks/work/COMMIT.jsonl; a run that was cut goes on where it
stopped. How it is measured: docs/internals/benchmarks.md.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from cases.base import Case, Context
from cases.registry import CASES
from cases.traffic import Traffic
from earlier_rows import EARLIER
from loads import LoadError
from peers.aegis import Aegis
from peers.base import Peer
from peers.caddy import Caddy
from peers.envoy import Envoy
from peers.haproxy import Haproxy
from peers.headgate import Headgate
from peers.nginx import Nginx
from peers.sozu import Sozu
from report import write_report
from results import Journal, Metrics, Result
from running import PeerError, backend
from workdir import RESULTS, WORK, commit, prepare

_MOST_CORES = 2


def main() -> int:
    """Runs; the exit code is 1 when something could not be measured."""
    options = _options()
    if len(os.sched_getaffinity(0)) < _MOST_CORES:
        sys.stderr.write("bench: two cores are needed, one of them for the proxy alone\n")
        return 1
    if not options.report_only:
        prepare()
    name = commit()
    path = options.journal or WORK / f"{name}{'-quick' if options.quick else ''}.jsonl"
    if options.fresh and not options.report_only:
        path.unlink(missing_ok=True)
    journal = Journal(path)
    peers, missing = _peers(options)
    failures = 0
    if not options.report_only:
        for peer, reason in missing.items():
            _say(f"skipped: {peer}: {reason}")
        failures = _run(options, journal, peers, name)
    if not options.no_report:
        stem = options.report or RESULTS / f"{time.strftime('%Y-%m-%d')}-{name}"
        _say(f"report: {write_report(journal, peers, missing, stem, quick=options.quick)}")
    return 1 if failures else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", default="", help="names, separated by commas; none = all")
    parser.add_argument("--rounds", type=int, default=0, help="5; 1 with --quick")
    parser.add_argument("--seconds", type=float, default=0, help="of each run: 2; 1 with --quick")
    parser.add_argument(
        "--peers",
        default="nginx,haproxy,headgate",
        help="also: envoy, caddy, sozu, aegis; or `all`",
    )
    parser.add_argument("--headgate", type=Path, default=Path(sys.executable).with_name("headgate"))
    parser.add_argument("--earlier", metavar="COMMIT=PATH", help="an earlier build's command")
    parser.add_argument("--quick", action="store_true", help="only to see that it works")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--report-only", action="store_true", help="measure nothing")
    parser.add_argument("--no-report", action="store_true")
    parser.add_argument("--report", type=Path, help="where to write it, without a suffix")
    parser.add_argument("--journal", type=Path, help="the file of results")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (1.0 if options.quick else 2.0)
    return options


def _peers(options: argparse.Namespace) -> tuple[list[Peer], dict[str, str]]:
    """Those that can be run, in the order of a round, and why others cannot."""
    known: list[Peer] = [
        Nginx(),
        Haproxy(),
        Envoy(),
        Caddy(),
        Sozu(),
        Aegis(),
        Headgate(options.headgate.absolute()),
    ]
    everyone = {peer.name for peer in known}
    wanted = everyone if options.peers == "all" else set(options.peers.split(","))
    if options.earlier:
        commit_of_it, _, program = options.earlier.partition("=")
        known.append(Headgate(Path(program).absolute(), EARLIER, f" of {commit_of_it}"))
        wanted.add(EARLIER)
    unknown = set(wanted) - {peer.name for peer in known}
    if unknown:
        raise SystemExit(f"bench: there is no peer {', '.join(sorted(unknown))}")
    peers: list[Peer] = []
    missing: dict[str, str] = {}
    for peer in known:
        if peer.name not in wanted:
            continue
        reason = peer.missing()
        if reason:
            missing[peer.name] = reason
        else:
            peers.append(peer)
    return peers, missing


def _cases(wanted: str) -> list[Case]:
    if not wanted:
        return list(CASES)
    by_name = {case.name: case for case in CASES}
    names = wanted.split(",")
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise SystemExit(f"bench: no case {', '.join(unknown)}; there are: {', '.join(by_name)}")
    return [by_name[name] for name in names]


def _run(options: argparse.Namespace, journal: Journal, peers: list[Peer], name: str) -> int:
    failures = 0
    with backend() as (port, pid):
        context = Context(port, pid, options.seconds, journal, options.quick)
        for case in _cases(options.case):
            able = [peer for peer in peers if not case.refuses(peer)]
            for peer in peers:
                if peer not in able:
                    _say(f"{case.name}: not {peer.name}: {case.refuses(peer)}")
            for number in range(min(options.rounds, case.rounds)):
                for peer in _turned(able, number):
                    if not journal.has(case.name, number, peer.name):
                        failures += _one(case, number, peer, context, name)
                if isinstance(case, Traffic) and case.half_load:
                    failures += _together(case, number, able, context, name)
    return failures


def _turned(peers: list[Peer], number: int) -> list[Peer]:
    """Another peer begins in each round: what a run leaves behind meets all of them alike."""
    at = number % len(peers) if peers else 0
    return peers[at:] + peers[:at]


def _one(case: Case, number: int, peer: Peer, context: Context, name: str) -> int:
    result = Result(case.name, number, peer.name, name)
    start = time.monotonic()
    try:
        result.variants = case.measure(peer, context)
        result.noisy = any(one.get("noisy") for one in result.variants.values())
    except (PeerError, LoadError, OSError, ValueError, TimeoutError) as error:
        result.failure = f"{type(error).__name__}: {error}"[:400]
    context.journal.add(result)
    took = time.monotonic() - start
    shown = result.failure or "  ".join(_brief(n, m) for n, m in result.variants.items())
    noisy = "  NOISY" if result.noisy else ""
    _say(f"{case.name} round {number} {peer.name:9} {took:5.1f} s  {shown}{noisy}")
    return 1 if result.failure else 0


def _together(case: Traffic, number: int, peers: list[Peer], context: Context, name: str) -> int:
    """Latencies at half load, unless all peers have theirs of that round."""
    if all(context.journal.has(case.name, number, peer.name, _HALF) for peer in peers):
        return 0
    start = time.monotonic()
    found: dict[str, Metrics] = {}
    try:
        halves = case.half_loads(peers, context)
        found, failed = halves.found, halves.failed
    except (PeerError, LoadError, OSError, ValueError, TimeoutError) as error:
        failed = {peer.name: f"{type(error).__name__}: {error}"[:400] for peer in peers}
    took = time.monotonic() - start
    for peer in peers:
        result = Result(case.name, number, peer.name, name, _HALF)
        result.failure = failed.get(peer.name, "")
        if not result.failure:
            result.variants = {"": found[peer.name]}
            result.noisy = bool(found[peer.name]["half_noisy"])
        context.journal.add(result)
        shown = result.failure or _brief("half load", found[peer.name])
        noisy = "  NOISY" if result.noisy else ""
        _say(f"{case.name} round {number} {peer.name:9} {took / len(peers):5.1f} s  {shown}{noisy}")
    return len(failed)


_HALF = "half"
_BRIEF = {
    "us": "µs",
    "rps": "rps",
    "half_p50": "µs p50",
    "half_p99": "µs p99",
    "half_p999": "µs p99.9",
    "half_late": "µs late",
    "s_per_gb": "s/GB",
    "gbit_per_s": "Gbit/s",
    "ms": "ms",
    "ours": "M/s",
    "pss": "B",
    "bytes": "B/conn",
    "ns": "ns",
    "check_ns": "ns",
}


def _brief(name: str, found: Metrics) -> str:
    parts = [f"{found[key]:.1f} {unit}" for key, unit in _BRIEF.items() if key in found]
    return f"{name + ': ' if name else ''}{', '.join(parts)}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
