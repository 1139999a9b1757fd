"""The table "Speed and memory it must reach": which figure of which case, what it must be."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from results import Metrics, Result, Table, table

OURS = "headgate"
BASE = "nginx"
AGAIN = "-again"
"""Ends the name of a variant that is measured a second time."""
_MIB = 1 << 20
_MB = 1_000_000


@dataclass(frozen=True)
class Spread:
    """Median, least and most of several rounds."""

    median: float
    low: float
    high: float
    rounds: int

    def text(self, digits: int) -> str:
        """`0.81 (0.79–0.84)`."""
        one = f"{self.median:.{digits}f}"
        if self.rounds < 2:
            return one
        return f"{one} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def spread(values: Iterable[float]) -> Spread | None:
    """Of some values; None of none."""
    all_ = sorted(values)
    if not all_:
        return None
    return Spread(statistics.median(all_), all_[0], all_[-1], len(all_))


def paired(found: Table, peer: str, key: str, base: str = BASE) -> Spread | None:
    """Ratios to the base, each within its round."""
    ours, theirs = found.get(peer, {}), found.get(base, {})
    return spread(
        one[key] / theirs[number][key]
        for number, one in ours.items()
        if theirs.get(number, {}).get(key) and key in one
    )


def values(found: Table, peer: str, key: str, scale: float = 1.0) -> Spread | None:
    """A figure as it is, times `scale`."""
    return spread(one[key] * scale for one in found.get(peer, {}).values() if key in one)


def added(more: Table, less: Table, peer: str, key: str, scale: float = 1.0) -> Spread | None:
    """Returns how much larger a figure is in one variant than in another, each within its round."""
    before = less.get(peer, {})
    return spread(
        (one[key] - before[number][key]) * scale
        for number, one in more.get(peer, {}).items()
        if key in one and key in before.get(number, {})
    )


def judged(
    found: Spread | None, must: float | None, aim: float | None = None, *, at_least: bool = False
) -> str:
    """`aim met`, `must met`, `missed`, and whether the spread crosses the bar that decided.

    `not measured` where there is no figure; empty where nothing is demanded.
    """
    if found is None:
        return "not measured"
    if must is None:
        return ""
    sign = -1 if at_least else 1
    if aim is not None and sign * found.median <= sign * aim:
        verdict, bar = "aim met", aim
    elif sign * found.median <= sign * must:
        verdict, bar = "must met", must
    else:
        verdict, bar = "**missed**", must
    within_noise = found.rounds > 1 and found.low <= bar <= found.high and found.low < found.high
    return f"{verdict}, but its rounds lie on both sides of {bar:g}" if within_noise else verdict


Measure = Callable[[list[Result]], Spread | None]


@dataclass(frozen=True)
class Row:
    """A row: what it is called, what was measured, what it must be at most and aims at."""

    title: str
    unit: str
    measure: Measure
    must: float | None
    aim: float | None = None
    digits: int = 2
    at_least: bool = False
    """True if more is better."""

    def verdict(self, found: Spread | None) -> str:
        """As [`judged`]."""
        return judged(found, self.must, self.aim, at_least=self.at_least)


def added_row(
    case: str, more: str, less: str, title: str, limits: tuple[float, float | None]
) -> Row:
    def measure(results: list[Result]) -> Spread | None:
        return added(table(results, case, more), table(results, case, less), OURS, "us")

    return Row(title, "µs more", measure, *limits)


def ratio_row(
    case: str, more: str, less: str, title: str, limits: tuple[float | None, float | None]
) -> Row:
    """CPU of one variant over that of another, each within its round.

    A case may measure each once more in the other order (`AGAIN`), so that a machine that becomes
    slower during the round slows both.
    """

    def cost(results: list[Result], variant: str) -> dict[int, float]:
        runs = (table(results, case, one).get(OURS, {}) for one in (variant, variant + AGAIN))
        first, second = runs
        return {n: one["us"] + second.get(n, one)["us"] for n, one in first.items()}

    def measure(results: list[Result]) -> Spread | None:
        ours, base = cost(results, more), cost(results, less)
        return spread(one / base[n] for n, one in ours.items() if n in base)

    return Row(title, "×", measure, *limits, digits=3)


def value_row(
    where: tuple[str, str, str],
    title: str,
    unit: str,
    scale: float,
    must: float | None,
    aim: float | None = None,
) -> Row:
    case, variant, key = where

    def measure(results: list[Result]) -> Spread | None:
        return values(table(results, case, variant), OURS, key, scale)

    return Row(title, unit, measure, must, aim, digits=2 if (must or 1) < 100 else 0)


def _memory_of_hosts(results: list[Result]) -> Spread | None:
    more, less = (table(results, "hosts", count) for count in ("10000", "10"))
    return added(more, less, OURS, "pss", 1 / _MIB)


def _growth(results: list[Result]) -> Spread | None:
    """Memory after 10,000 reloads less that after the first 1,000."""
    last, first = "pss_10000", "pss_1000"
    found = table(results, "reloads-10000", "").get(OURS, {}).values()
    return spread((one[last] - one[first]) / _MIB for one in found if last in one and first in one)


def _control(variant: str, title: str, must: float) -> Row:
    """CPU of supervisor and control process."""
    return value_row(("apply", variant, "control_ms"), title, "ms", 1, must)


_NGINX = "nginx engine: {}"

_SESSION = ("l4-sessions", "", "bytes")
LAYER_4: tuple[Row, ...] = (
    value_row(("l4-echo", "", "half_p99"), "TCP 64 B, p99 at half load", "ms", 1e-3, 1, 0.2),
    replace(
        value_row(
            ("l4-bulk-16", "", "gbit_per_s"),
            "TCP bulk through one core, 16 connections",
            "Gbit/s",
            1,
            10,
        ),
        at_least=True,
    ),
    value_row(("l4-udp", "", "datagram_us"), "cores for 1 M datagrams/s, 1 flow", "cores", 1, None),
    value_row(
        ("l4-udp-10000", "", "datagram_us"),
        "cores for 1 M datagrams/s, 10,000 flows",
        "cores",
        1,
        None,
    ),
    value_row(_SESSION, "idle TCP session", "bytes", 1, 1024, 600),
    value_row(_SESSION, "20,000 idle TCP sessions over the base", "MB", 20_000 / _MB, 50),
    value_row(_SESSION, "100,000 idle TCP sessions, on paper", "MB", 100_000 / _MB, None),
)
"""Of TCP and UDP. The memory of many sessions is that of one times their number, because the case
opens only as many as descriptors allow."""

ROWS: tuple[Row, ...] = (
    value_row(("tls-handshake-pq", "", "us"), "post-quantum handshake + request", "µs", 1, None),
    added_row("hosts", "10000", "10", "added by 10,000 hosts over 10", (0.5, 0.1)),
    added_row("prefixes", "10000", "10", "added by 10,000 prefixes over 10", (0.5, 0.1)),
    added_row("regexes", "1000", "10", "added by 1,000 regexes with a literal prefix", (3, 0.5)),
    added_row("regexes", "free-1000", "free-10", "added by 1,000 regexes without one", (3, 0.5)),
    added_row("access-log", "on", "off", "added by the access log", (0.8, None)),
    ratio_row(
        "guarded",
        "guarded",
        "bare",
        "retries, breaker, outliers and checks on, over none",
        (1.01, None),
    ),
    value_row(("access-log", "on", "dropped"), "access log lines dropped", "lines", 1, 0),
    Row("memory for 10,000 hosts over the base", "MiB", _memory_of_hosts, 20, 5),
    value_row(("apply", "plan-full", "ms"), "10,000 hosts: plan → served", "ms", 1, 60, 10),
    value_row(("apply", "plan-one", "ms"), "one of them: plan → served", "ms", 1, 2, 0.5),
    value_row(
        ("apply", "reload-full", "ms"), "10,000 hosts: POST /reload → answer", "ms", 1, 250, 120
    ),
    value_row(("apply", "reload-one", "ms"), "one of them: POST /reload → answer", "ms", 1, 25, 10),
    value_row(
        ("apply", "unlike-full", "ms"), "10,000 unlike routes: POST /reload → answer", "ms", 1, 250
    ),
    value_row(("apply", "unlike-one", "ms"), "one of them: POST /reload → answer", "ms", 1, 25),
    _control("reload-full", "10,000 hosts: CPU of a reload", 250),
    _control("reload-one", "one of them: CPU of a reload", 25),
    _control("unlike-full", "10,000 unlike routes: CPU of a reload", 250),
    _control("unlike-one", "one of them: CPU of a reload", 25),
    value_row(("memory", "idle", "pss"), "data plane idle", "MB", 1 / _MB, 25),
    value_row(
        ("memory", "active", "pss"), "data plane, 1,000 active connections", "MB", 1 / _MB, 50
    ),
    value_row(("memory", "plain", "bytes"), "idle connection, plain", "bytes", 1, 1024, 500),
    value_row(("memory", "tls", "bytes"), "idle connection, TLS", "bytes", 1, 12288, 5120),
    *LAYER_4,
    value_row(("reloads", "", "failed"), "1,000 reloads: requests failed", "requests", 1, 0),
    value_row(("reloads", "", "p99_ratio"), "1,000 reloads: p99 to quiet", "×", 1, 1.2),
    Row("memory from 1,000 to 10,000 reloads", "MiB more", _growth, 1.0),
    value_row(
        ("nginx-engine", "parse", "ms"), _NGINX.format("5,000 servers, round trip"), "ms", 1, 1000
    ),
    value_row(
        ("nginx-engine", "render", "ms"), _NGINX.format("1,000 hosts rendered"), "ms", 1, 1000
    ),
    value_row(
        ("nginx-engine", "apply", "over_reload_ms"),
        _NGINX.format("1,000 hosts: apply → verified, over its own reload"),
        "ms",
        1,
        2000,
    ),
    value_row(("nginx-engine", "apply", "drift_ms"), _NGINX.format("edit seen"), "ms", 1, 1000),
    value_row(
        ("nginx-engine", "tail", "core_per_10k"),
        _NGINX.format("log tail, CPU for 10,000 requests/s"),
        "% of a core",
        1,
        10,
    ),
)
"""The table. `memory flat` is read as at most 1 MiB more, which allocators' slack may take."""


def metrics_of(results: list[Result], case: str, variant: str, peer: str) -> list[Metrics]:
    """A peer's figures in the order of rounds."""
    found = table(results, case, variant).get(peer, {})
    return [found[number] for number in sorted(found)]
