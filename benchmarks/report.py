"""The report: every row with what it must be, every case with every peer, how it was measured."""

import os
import platform
import shutil
import statistics
import time
from pathlib import Path

import earlier_rows
import feature_rows
import http2_rows
import request_rows
from cases.base import Case
from cases.registry import CASES
from cases.traffic import Traffic
from peers.base import Peer, Place, Setup
from plot import Group, chart
from results import Journal, Metrics, Result, Table, table
from rows import BASE, ROWS, Spread, paired, spread
from workdir import TLS_CIPHER, WORK

_METHOD = """\
The proxy has one core for itself (all its threads and children), load and upstream share the other.
Every run is a fresh process: 1 s of warm-up, then a closed loop at saturation (wrk; WebSocket and
TCP: our `load`; HTTP/2: h2load, which says no quantiles; bulk and UDP: a window of a client that
goes on). Half load is measured in fresh processes of all
peers, which take turns: windows of an open loop at a fixed rate, half of what nginx did in the
first round, the same for everybody, each latency counted from when its request was due; a peer's
windows of a round are taken together. CPU is the process's CPU clock over the saturated run divided
by requests; of headgate it is the data plane's, and beside it the whole tree's (supervisor and
control process run on the load's core). Which peer begins changes with every round. TLS clients
offer {cipher} and nothing else. Ratios are taken within a round and given as median (least–most). A
run during which strangers used more than 0.15 CPUs was repeated once, and is marked noisy if that
did not help; at half load the quietest turns count, and noisy ones are the second number in the
last column.
"""
_REQUESTS = """\
CPU of the proxy: of its processes, for each request. CPU of the machine: busy time of all cores for
each request, with load, upstream and soft interrupts. Both and requests/s are ratios to nginx at
saturation; p99 at half load is the ratio to the better of nginx and HAProxy in that round. Medians
(least–most of the rounds).

"""
_LAYER_4 = """\
As above; the base is nginx's `stream`. A request is 64 B that come back. Of bulk the figures are
CPU for each GB and GB a second; clients send it, except in one row. Of UDP, 128 datagrams are under
way at a time.

"""
_L4_ROWS = request_rows.LAYER_4
_FIRST = """
At half load, load and upstream ran by SCHED_FIFO, the proxies by SCHED_RR; `load late` is the 99th
percentile of how late the load sent though a connection was free, in the worst of its windows.
"""
_NOT_FIRST = """
**Load and upstream ran with normal scheduling, for want of the right to SCHED_FIFO: latencies at
half load are for a good part their time slices, and say little about the proxies.**
"""


def write_report(
    journal: Journal, peers: list[Peer], missing: dict[str, str], stem: Path, *, quick: bool
) -> Path:
    """Writes STEM.md, STEM.svg and STEM.jsonl (every run as it was); the path of the first."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    results = [one for one in journal.results if not one.failure]
    picture = stem.with_name(stem.name + ".svg")
    picture.write_text(chart("CPU per request, ratio to nginx (less is better)", _groups(results)))
    if journal.path.exists():
        shutil.copyfile(journal.path, stem.with_name(stem.name + ".jsonl"))
    commit = journal.results[-1].commit if journal.results else "none"
    parts = [
        f"# Benchmarks of {commit}, {time.strftime('%Y-%m-%d')}\n",
        "**Quick run: it shows that the harness works, and nothing else.**\n" if quick else "",
        _machine(peers, missing),
        "## Requests, as ratios\n\n" + _REQUESTS + request_rows.text(results),
        "## Layer 4, as ratios\n\n" + _LAYER_4 + request_rows.text(results, _L4_ROWS, "a second"),
        "## What it must reach besides\n\n" + _rows(results),
        f"![CPU per request, ratio to nginx]({picture.name})\n",
        "## Cases\n",
        *(_case(case, results) for case in CASES),
        _failures(journal.results),
        "## How\n\n" + _METHOD.format(cipher=TLS_CIPHER) + _scheduling(results),
        "## Configurations\n\n" + _configurations(peers),
    ]
    path = stem.with_name(stem.name + ".md")
    path.write_text("\n".join(part for part in parts if part))
    return path


def _machine(peers: list[Peer], missing: dict[str, str]) -> str:
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    lines = [
        f"- Machine: {model}, {os.cpu_count()} CPUs, {memory:.0f} GiB, Linux {platform.release()};"
        " loopback only.",
        *(f"- {peer.name}: {peer.version()}" for peer in peers),
        *(f"- {name}: not measured: {reason}" for name, reason in missing.items()),
    ]
    return "\n".join(lines) + "\n"


def _rows(results: list[Result]) -> str:
    lines = ["| row | measured | unit | must | aim | |", "|---|---|---|---|---|---|"]
    for row in (*ROWS, *http2_rows.ROWS, *feature_rows.ROWS, *earlier_rows.ROWS):
        found = row.measure(results)
        shown = found.text(row.digits) if found else "–"
        sign = "≥ " if row.at_least else ""
        both = (row.must, row.aim)
        limits = " | ".join("–" if one is None else f"{sign}{one:g}" for one in both)
        lines.append(f"| {row.title} | {shown} | {row.unit} | {limits} | {row.verdict(found)} |")
    return "\n".join(lines) + "\n"


def _groups(results: list[Result]) -> list[Group]:
    groups: list[Group] = []
    for case in CASES:
        if not isinstance(case, Traffic) or len(case.variants) > 1:
            continue
        found = table(results, case.name, "")
        bars = [(peer, ratio) for peer in found if (ratio := paired(found, peer, "us"))]
        if bars:
            groups.append((case.name, bars))
    return groups


_COLUMNS = (
    ("us", "CPU µs/request", 2, 1.0),
    ("tree_us", "whole tree", 2, 1.0),
    ("machine_us", "all cores", 2, 1.0),
    ("rps", "requests/s", 0, 1.0),
    ("p50", "p50 µs", 0, 1.0),
    ("p99", "p99", 0, 1.0),
    ("p999", "p99.9", 0, 1.0),
    ("half_p50", "half load p50 µs", 0, 1.0),
    ("half_p99", "p99", 0, 1.0),
    ("half_p999", "p99.9", 0, 1.0),
    ("half_late", "load late", 0, 1.0),
    ("half_pss", "memory MiB", 1, 1 / (1 << 20)),
    ("peak", "peak MiB", 1, 1 / (1 << 20)),
    ("failed", "failed", 0, 1.0),
)


_NOISY = ("noisy", "half_noisy")


def _scheduling(results: list[Result]) -> str:
    seen = {m["half_first"] for one in results for m in one.variants.values() if "half_first" in m}
    return (_FIRST if 1.0 in seen else "") + (_NOT_FIRST if 0.0 in seen else "")


def _case(case: Case, results: list[Result]) -> str:
    if isinstance(case, Traffic):
        parts = [
            _traffic(table(results, case.name, variant.name), variant.name)
            for variant in case.variants
        ]
    else:
        names = dict.fromkeys(
            name for one in results if one.case == case.name for name in one.variants
        )
        parts = [_figures(table(results, case.name, name), name) for name in names]
    shown = [part for part in parts if part]
    return f"### {case.name}: {case.title}\n\n" + "\n".join(shown) if shown else ""


def _traffic(found: Table, variant: str) -> str:
    if not found:
        return ""
    rate = next((m["rate"] for rounds in found.values() for m in rounds.values() if "rate" in m), 0)
    note = f"Half load: {rate:,.0f} requests/s.\n\n" if rate else ""
    columns = [one for one in _COLUMNS if any(one[0] in m for m in _all(found))]
    head = ["peer", "ratio to nginx", *(one[1] for one in columns), "rounds (noisy)"]
    lines = [
        f"Variant {variant}.\n\n" if variant else "",
        note,
        _line(head),
        _line(["---"] * len(head)),
    ]
    for peer, rounds in found.items():
        ratio = paired(found, peer, "us")
        cells = [peer, ratio.text(2) if ratio else "–"]
        for key, _, digits, scale in columns:
            seen = [one[key] * scale for one in rounds.values() if key in one]
            cells.append(_cell(key, spread(seen), digits))
        noisy = [sum(bool(m.get(key)) for m in rounds.values()) for key in _NOISY]
        lines.append(_line([*cells, f"{len(rounds)} ({noisy[0]}, {noisy[1]})"]))
    return "".join(lines)


def _cell(key: str, found: Spread | None, digits: int) -> str:
    if found is None:
        return "–"
    return found.text(digits) if key == "us" else f"{found.median:,.{digits}f}"


def _figures(found: Table, variant: str) -> str:
    keys = list(dict.fromkeys(key for one in _all(found) for key in one))
    head = [variant or "peer", *keys, "rounds"]
    lines = [_line(head), _line(["---"] * len(head))]
    for peer, rounds in found.items():
        cells = []
        for key in keys:
            seen = [one[key] for one in rounds.values() if key in one]
            cells.append(f"{statistics.median(seen):,.2f}" if seen else "–")
        lines.append(_line([peer, *cells, str(len(rounds))]))
    return "".join(lines)


def _all(found: Table) -> list[Metrics]:
    return [one for rounds in found.values() for one in rounds.values()]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _which(one: Result) -> tuple[str, ...]:
    return (one.case, f"round {one.round}", one.peer, *([one.part] if one.part else []))


def _failures(results: list[Result]) -> str:
    done = {_which(one) for one in results if not one.failure}
    failed = [one for one in results if one.failure and _which(one) not in done]
    if not failed:
        return ""
    lines = [f"- {', '.join(_which(one))}: {one.failure}" for one in failed]
    return "## What failed\n\n" + "\n".join(lines) + "\n"


def _configurations(peers: list[Peer]) -> str:
    """Of a job with TLS; routes, hosts and the access log are added to it. And of layer 4."""
    pair = [WORK / f"{name}.pem" for name in ("cert", "key", "both")]
    place = Place(Path("/run/bench"), 8000, 8001, 9000, *(Path(one.name) for one in pair))
    http, *relays = (Setup(tls_group="x25519"), Setup(relay="udp"), Setup(relay="tcp"))
    jobs = [(peer, http, peer.name) for peer in peers]
    for peer in peers:
        able = next((one for one in relays if not peer.refuses(one)), None)
        jobs += [(peer, able, f"{peer.name}, layer 4")] if able else []
    parts = [
        f"<details><summary>{name}</summary>\n\n```\n"
        f"{peer.config_text(setup, place).rstrip()}\n```\n</details>\n"
        for peer, setup, name in jobs
    ]
    return "\n".join(parts) + f"\nRatios are to {BASE} in the same round.\n"
