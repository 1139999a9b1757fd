"""The tables that a scale run writes into its page; nothing is measured here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import json, sys
from scale_report import written
sys.stdout.write(written(sys.stdin.read(), json.loads(sys.argv[1])))
"""
LIMITS = "import json, machine; print(json.dumps(machine.limits()))"
MACHINE = {
    "at": "2026-11-27",
    "cores": 2.0,
    "processor": "Some CPU",
    "memory_mib": 7936,
    "descriptors": 1048576,
    "kernel": "Linux 6.1.0",
    "python": "3.11.7",
    "load": 0.25,
}
PAGE = (
    "Before.\n<!-- begin machine -->\nold\n<!-- end machine -->\n"
    "<!-- begin agents -->\nold\n<!-- end agents -->\n"
    "<!-- begin first -->\nold\n<!-- end first -->\nAfter.\n"
)


def run(page: str, code: str = CODE, **report: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, json.dumps({"machine": MACHINE, **report})],
        cwd=ROOT / "benchmarks",
        input=page,
        capture_output=True,
        text=True,
        check=False,
    )


def written(page: str, **report: Any) -> str:
    done = run(page, **report)
    assert done.returncode == 0, done.stderr
    return done.stdout


def change(p99_s: float) -> dict[str, Any]:
    times = {"p50": p99_s / 2, "p99": p99_s, "last": p99_s}
    return {"acknowledged_s": times, "serving_s": times, "known_s": p99_s + 1, "cpu_s": 2.0}


def agents(p99_s: float, share: float, healed_s: float) -> dict[str, Any]:
    return {
        "database": "sqlite",
        "routes": 500,
        "agents": 10_000,
        "idle_mib": 149,
        "connected_mib": 1140,
        "mib": 1486,
        "enrolled_s": 184.4,
        "connected_s": 28.5,
        "connect_cpu_s": 26.5,
        "complete": change(17.0),
        "difference": [change(p99_s - 0.5), change(p99_s), change(p99_s + 0.5)],
        "heartbeats_share_of_core": share,
        "restart_s": 3.9,
        "storm_healed_s": healed_s,
    }


def test_this_machine_s_limits_have_what_the_table_shows() -> None:
    found = json.loads(run("", LIMITS).stdout)
    assert found.keys() == MACHINE.keys()
    assert found["cores"] > 0
    assert found["memory_mib"] > 0


def test_the_machine_s_limits_are_in_the_page_and_the_rest_stays() -> None:
    text = written(PAGE)
    for row in (
        "| measured on | 2026-11-27, with a load of 0.25 at the beginning |",
        "| cores | 2, Some CPU |",
        "| memory | 7,936 MiB |",
        "| descriptors of a process | 1,048,576 |",
        "| kernel; Python | Linux 6.1.0; 3.11.7 |",
    ):
        assert f"\n{row}\n" in text
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")
    assert text.count("old") == 2
    assert written(text) == text


def test_a_time_that_its_bar_does_not_allow_is_bold() -> None:
    quick = written(PAGE, first={"request_s": 30.0, "installed_s": 20.0, "adopted_s": 59.9})
    assert "| | bar | 2026-11-27 |" in quick
    assert "`headgate up` | 30 s | 30 s |" in quick
    assert "| 60 s | 59.9 s; 20 s |" in quick
    slow = written(PAGE, first={"request_s": 30.1, "installed_s": 20.0, "adopted_s": 60.1})
    assert "`headgate up` | 30 s | **30.1 s** |" in slow
    assert "| 60 s | **60.1 s**; 20 s |" in slow


def test_the_agents_figures_are_medians_with_their_extremes() -> None:
    text = written(PAGE, **agents(2.5, 0.25, 30.0))
    for row in (
        "| | bar | 10,000 agents on SQLite, 2026-11-27 |",
        "| master's memory: idle, connected, at the end | 2 GB | 149, 1,140, 1,486 MiB |",
        "| a change of one route: acknowledged p99 | 2.5 s | 2.5 s (2.0 to 3.0) |",
        "| heartbeats every 10 s | 25 % of a core | 25 % |",
    ):
        assert f"\n{row}\n" in text
    assert "first revision, 502 files:" in text
    assert "**" not in text
    missed = written(PAGE, **agents(14.0, 0.41, 37.0))
    assert "| 2.5 s | **14.0 s** (13.5 to 14.5) |" in missed
    assert "| 25 % of a core | **41 %** |" in missed
    assert "| 30 s | 3.9 s; **37 s** |" in missed


def test_a_page_without_a_place_is_refused() -> None:
    done = run("Nothing.\n")
    assert done.returncode == 1
    assert "has no place for machine" in done.stderr


def test_the_page_of_the_docs_has_every_place() -> None:
    page = (ROOT / "docs" / "internals" / "fleet-scale.md").read_text()
    first = {"request_s": 1.0, "installed_s": 2.0, "adopted_s": 3.0}
    assert written(page, first=first, **agents(1.0, 0.1, 2.0)) != page
