"""The tables of a scale run, and the page that they are written into."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

_BARS_S = {"request_s": 30.0, "adopted_s": 60.0}
_MOST_MIB = 2e9 / (1 << 20)
_ACKNOWLEDGED_S, _HEALED_S, _HEARTBEATS = 2.5, 30.0, 0.25
_DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def written(page: str, report: Mapping[str, Any]) -> str:
    """Returns the page with the tables of which the report has figures, between the lines
    `<!-- begin NAME -->` and `<!-- end NAME -->`; what a bar does not allow is bold."""
    tables = {"machine": _machine(report["machine"])}
    if "first" in report:
        tables["first"] = _first(report["first"], report["machine"]["at"])
    if "agents" in report:
        tables["agents"] = _agents(report)
    for name, table in tables.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        head, found, rest = page.partition(begin)
        _, ended, tail = rest.partition(end)
        if not (found and ended):
            raise SystemExit(f"scale: the page has no place for {name}; write {begin}{end}")
        page = f"{head}{begin}\n{table}\n{end}{tail}"
    return page


def _machine(found: Mapping[str, Any]) -> str:
    return _table(
        ("the machine", ""),
        ("measured on", f"{found['at']}, with a load of {found['load']:g} at the beginning"),
        ("cores", f"{found['cores']:g}, {found['processor']}"),
        ("memory", f"{found['memory_mib']:,} MiB"),
        ("descriptors of a process", f"{found['descriptors']:,}"),
        ("kernel; Python", f"{found['kernel']}; {found['python']}"),
    )


def _first(found: Mapping[str, float], day: str) -> str:
    request, adopted = (_held(_s(found[one]), found[one] <= bar) for one, bar in _BARS_S.items())
    return _table(
        ("", "bar", day),
        ("first proxied request after `headgate up`", _s(_BARS_S["request_s"]), request),
        (
            "first adopted nginx, from the beginning of its agent's installation;"
            " the installation alone",
            _s(_BARS_S["adopted_s"]),
            f"{adopted}; {_s(found['installed_s'])}",
        ),
    )


def _agents(found: Mapping[str, Any]) -> str:
    whole, changes = found["complete"], found["difference"]
    memory = [found[one] for one in ("idle_mib", "connected_mib", "mib")]
    share, healed = found["heartbeats_share_of_core"], found["storm_healed_s"]
    late = whole["acknowledged_s"]["p99"], whole["serving_s"]["p99"], whole["known_s"]
    connected = found["enrolled_s"], found["connected_s"], found["connect_cpu_s"]
    database = _DATABASES[found["database"]]
    return _table(
        ("", "bar", f"{found['agents']:,} agents on {database}, {found['machine']['at']}"),
        (
            "master's memory: idle, connected, at the end",
            "2 GB",
            _held(", ".join(f"{one:,}" for one in memory) + " MiB", max(memory) <= _MOST_MIB),
        ),
        (
            "enrolled; all connected, from none; the master's CPU time for that",
            "",
            "; ".join(map(_s, connected)),
        ),
        (
            f"first revision, {found['routes'] + 2} files: acknowledged p99; serving p99; written",
            "",
            "; ".join(map(_s, late)),
        ),
        *_changes(changes),
        (
            "heartbeats every 10 s",
            f"{_HEARTBEATS * 100:.0f} % of a core",
            _held(f"{share * 100:.0f} %", share <= _HEARTBEATS),
        ),
        (
            "master killed: its own restart; until every agent has a session",
            _s(_HEALED_S),
            f"{_s(found['restart_s'])}; {_held(_s(healed), healed <= _HEALED_S)}",
        ),
    )


def _changes(changes: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    acknowledged = [one["acknowledged_s"]["p99"] for one in changes]
    serving = [one["serving_s"]["p99"] for one in changes]
    known = [one["known_s"] for one in changes]
    is_quick = statistics.median(acknowledged) <= _ACKNOWLEDGED_S
    return [
        (
            "a change of one route: acknowledged p99",
            _s(_ACKNOWLEDGED_S),
            _spread(acknowledged, is_held=is_quick),
        ),
        (
            "a change of one route: serving p99; written",
            "",
            f"{_spread(serving)}; {_spread(known)}",
        ),
        (
            "a change of one route: CPU time of the master",
            "",
            _spread([one["cpu_s"] for one in changes]),
        ),
    ]


def _table(*rows: Sequence[str]) -> str:
    lines = ["|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines) + "\n"


def _s(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 100 or seconds == int(seconds) else f"{seconds:.1f} s"


def _spread(seconds: Sequence[float], *, is_held: bool = True) -> str:
    """The median with the extremes.

    >>> _spread([1.0, 2.5, 2.25])
    '2.2 s (1.0 to 2.5)'
    """
    middle = _held(f"{statistics.median(seconds):.1f} s", is_held)
    return f"{middle} ({min(seconds):.1f} to {max(seconds):.1f})"


def _held(text: str, is_held: bool) -> str:
    return text if is_held else f"**{text}**"
