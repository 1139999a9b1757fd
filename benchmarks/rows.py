"""The table "Speed and memory it must reach": which figure of which case, what it must be."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from results import Metrics, Result, Table, table

OURS = "headgate"
BASE = "nginx"
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
    """How much larger a figure is in one variant than in another, each within its round."""
    before = less.get(peer, {})
    return spread(
        (one[key] - before[number][key]) * scale
        for number, one in more.get(peer, {}).items()
        if key in one and key in before.get(number, {})
    )


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

    def verdict(self, found: Spread | None) -> str:
        """`aim`, `must`, `missed`; `not measured`; empty where nothing is demanded."""
        if found is None:
            return "not measured"
        if self.must is None:
            return ""
        if self.aim is not None and found.median <= self.aim:
            return "aim met"
        return "must met" if found.median <= self.must else "**missed**"


def _ratio(case: str, must: float | None, aim: float | None, title: str) -> Row:
    def measure(results: list[Result]) -> Spread | None:
        return paired(table(results, case, ""), OURS, "us")

    return Row(title, "× nginx CPU", measure, must, aim)


def _half_p99(case: str, title: str) -> Row:
    """p99 at half load over the better of nginx and HAProxy in the same round."""

    def measure(results: list[Result]) -> Spread | None:
        found = table(results, case, "")
        ratios = []
        for number, ours in found.get(OURS, {}).items():
            best = [
                found[peer][number]["half_p99"]
                for peer in (BASE, "haproxy")
                if found.get(peer, {}).get(number, {}).get("half_p99")
            ]
            if best and "half_p99" in ours:
                ratios.append(ours["half_p99"] / min(best))
        return spread(ratios)

    return Row(f"p99 at half load: {title}", "× the better of nginx, HAProxy", measure, 1.0)


def _added(case: str, more: str, less: str, title: str, limits: tuple[float, float | None]) -> Row:
    def measure(results: list[Result]) -> Spread | None:
        return added(table(results, case, more), table(results, case, less), OURS, "us")

    return Row(title, "µs more", measure, *limits)


def _value(
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


_NGINX = "nginx engine: {}"

_REQUESTS = (
    ("h1-13", 0.92, 0.82, "13 B keep-alive, 64 connections"),
    ("h1-13-c256", 0.92, 0.82, "13 B keep-alive, 256 connections"),
    ("h1-1k", None, None, "1 KiB response"),
    ("h1-64k", 0.92, 0.82, "64 KiB response"),
    ("upload-64k", 0.92, 0.82, "64 KiB upload"),
    ("h1-1m", 0.50, 0.42, "1 MiB response"),
    ("close-13", 0.98, 0.90, "one connection per request"),
    ("tls-13", 0.95, 0.80, "TLS 1.3 keep-alive, 13 B"),
    ("tls-64k", 0.85, 0.65, "TLS 1.3 keep-alive, 64 KiB"),
    ("tls-handshake", 0.80, 0.55, "TLS 1.3 full handshake + request"),
    ("websocket", None, None, "WebSocket echo"),
)

ROWS: tuple[Row, ...] = (
    *(_ratio(*one) for one in _REQUESTS),
    _value(("tls-handshake-pq", "", "us"), "post-quantum handshake + request", "µs", 1, None),
    *(_half_p99(case, title) for case, _, _, title in _REQUESTS),
    _added("hosts", "10000", "10", "added by 10,000 hosts over 10", (0.5, 0.1)),
    _added("prefixes", "10000", "10", "added by 10,000 prefixes over 10", (0.5, 0.1)),
    _added("regexes", "1000", "10", "added by 1,000 regexes with a literal prefix", (3, 0.5)),
    _added("regexes", "free-1000", "free-10", "added by 1,000 regexes without one", (3, 0.5)),
    _added("access-log", "on", "off", "added by the access log", (0.8, None)),
    _value(("access-log", "on", "dropped"), "access log lines dropped", "lines", 1, 0),
    Row("memory for 10,000 hosts over the base", "MiB", _memory_of_hosts, 20, 5),
    _value(("apply", "plan-full", "ms"), "10,000 hosts: plan → served", "ms", 1, 60, 10),
    _value(("apply", "plan-one", "ms"), "one of them: plan → served", "ms", 1, 2, 0.5),
    _value(
        ("apply", "reload-full", "ms"), "10,000 hosts: POST /reload → answer", "ms", 1, 250, 120
    ),
    _value(("apply", "reload-one", "ms"), "one of them: POST /reload → answer", "ms", 1, 25, 10),
    _value(("memory", "idle", "pss"), "data plane idle", "MB", 1 / _MB, 25),
    _value(("memory", "active", "pss"), "data plane, 1,000 active connections", "MB", 1 / _MB, 50),
    _value(("memory", "plain", "bytes"), "idle connection, plain", "bytes", 1, 1024, 500),
    _value(("memory", "tls", "bytes"), "idle connection, TLS", "bytes", 1, 12288, 5120),
    _value(("reloads", "", "failed"), "1,000 reloads: requests failed", "requests", 1, 0),
    _value(("reloads", "", "p99_ratio"), "1,000 reloads: p99 to quiet", "×", 1, 1.2),
    Row("memory from 1,000 to 10,000 reloads", "MiB more", _growth, 1.0),
    _value(
        ("nginx-engine", "parse", "ms"), _NGINX.format("5,000 servers, round trip"), "ms", 1, 1000
    ),
    _value(("nginx-engine", "render", "ms"), _NGINX.format("1,000 hosts rendered"), "ms", 1, 1000),
    _value(
        ("nginx-engine", "apply", "over_reload_ms"),
        _NGINX.format("1,000 hosts: apply → verified, over its own reload"),
        "ms",
        1,
        2000,
    ),
    _value(("nginx-engine", "apply", "drift_ms"), _NGINX.format("edit seen"), "ms", 1, 1000),
    _value(
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
